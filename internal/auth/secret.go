package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"riposte/internal/fault"
)

// The cost of a password's hash: OWASP's first choice for argon2id (Password
// Storage Cheat Sheet), 19 MiB and two passes.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	keyBytes  = 32
)

// SaltBytes is how much randomness HashPassword wants.
const SaltBytes = 16

// MinPassword is the shortest password that is taken, in characters.
const MinPassword = 12

// MaxPassword bounds what is hashed, in bytes.
const MaxPassword = 1024

// HashPassword writes a password's argon2id hash in the PHC string format.
func HashPassword(password string, salt []byte) string {
	sum := argon2.IDKey([]byte(password), salt, passes, memoryKiB, 1, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memoryKiB, passes, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// hashed is a PHC string taken apart.
type hashed struct {
	memory, passes uint32
	threads        uint8
	salt, sum      []byte
}

// CheckHash tells whether a text is a hash that CheckPassword understands:
// fault.Invalid if not.
func CheckHash(hash string) error {
	_, err := parseHash(hash)
	return err
}

// CheckPassword tells whether a password is the one that was hashed.
func CheckPassword(hash, password string) bool {
	h, err := parseHash(hash)
	if err != nil || len(password) > MaxPassword {
		return false
	}
	sum := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

func parseHash(s string) (h hashed, err error) {
	bad := fmt.Errorf("a password hash has the form $argon2id$v=19$m=…,t=…,p=…$salt$hash; riposte config password makes one: %w", fault.Invalid)
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, bad
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.threads); err != nil {
		return h, bad
	}
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return h, bad
	}
	if h.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return h, bad
	}
	// The bounds keep a wrong hash from costing the server its memory.
	if h.memory < 8 || h.memory > 1<<20 || h.passes < 1 || h.passes > 64 || h.threads < 1 || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 128 {
		return h, bad
	}
	return h, nil
}

// tokenPrefix lets people and secret scanners see what a text is.
const tokenPrefix = "rip_"

// SecretBytes is how much randomness Secret wants.
const SecretBytes = 32

// Secret writes random bytes as the secret of an API token.
func Secret(random []byte) string {
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
}

// HashSecret gives what is stored of a token or session: 32 random bytes need no
// slow hash.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

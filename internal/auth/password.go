package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

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

// HashPassword writes a password's argon2id hash in the PHC string format, which
// holds the cost with it.
func HashPassword(password string, salt []byte) string {
	sum := argon2.IDKey([]byte(password), salt, passes, memoryKiB, 1, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memoryKiB, passes, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// NewPasswordHash draws a salt and hashes a password. It returns fault.Invalid
// for a password that is not taken.
func NewPasswordHash(password string, random io.Reader) (string, error) {
	if why := PasswordProblem(password); why != "" {
		return "", fmt.Errorf("%s: %w", why, fault.Invalid)
	}
	salt := make([]byte, SaltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("draw a salt: %w", err)
	}
	return HashPassword(password, salt), nil
}

// PasswordProblem says why a password is not taken, or nothing. Length is all
// that counts (NIST SP 800-63B, 3.1.1.2).
func PasswordProblem(password string) string {
	switch {
	case !utf8.ValidString(password):
		return "the password is not UTF-8"
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Sprintf("the password is too short; it needs at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return fmt.Sprintf("the password is too long; it has at most %d bytes", MaxPassword)
	}
	return ""
}

// passwordLetters leaves out what people mistake for something else.
const passwordLetters = "abcdefghjkmnpqrstuvwxyz23456789"

// NewPassword draws a password that people can type: 24 letters and digits in
// groups of six, 118 bits.
func NewPassword(random io.Reader) (string, error) {
	var b strings.Builder
	for n := 0; n < 24; {
		var one [1]byte
		if _, err := io.ReadFull(random, one[:]); err != nil {
			return "", fmt.Errorf("draw a password: %w", err)
		}
		// What would make some letters likelier than others is drawn again.
		if int(one[0]) >= 256/len(passwordLetters)*len(passwordLetters) {
			continue
		}
		if n > 0 && n%6 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(passwordLetters[int(one[0])%len(passwordLetters)])
		n++
	}
	return b.String(), nil
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
	if _, ok := parseHash(hash); !ok {
		return fmt.Errorf("%s: %w", badHash, fault.Invalid)
	}
	return nil
}

// CheckPassword tells whether a password is the one that was hashed. How long it
// takes does not tell how near a wrong one is.
func CheckPassword(hash, password string) bool {
	h, ok := parseHash(hash)
	if !ok || len(password) > MaxPassword {
		return false
	}
	sum := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

// NobodysHash is a hash that no password has. Whoever signs in under a name that
// is not there is checked against it, so that the time does not tell.
func NobodysHash() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memoryKiB, passes,
		b64.EncodeToString(make([]byte, SaltBytes)), b64.EncodeToString(make([]byte, keyBytes)))
}

// Outdated tells whether a hash was made at another cost than today's, and is to
// be made anew when its owner signs in.
func Outdated(hash string) bool {
	h, ok := parseHash(hash)
	return !ok || h.memory != memoryKiB || h.passes != passes || h.threads != 1 || len(h.sum) != keyBytes
}

const badHash = "a password hash has the form $argon2id$v=19$m=…,t=…,p=…$salt$hash"

func parseHash(s string) (h hashed, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, false
	}
	if !h.readCost(parts[3]) {
		return h, false
	}
	var errSalt, errSum error
	h.salt, errSalt = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.sum, errSum = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if errSalt != nil || errSum != nil {
		return h, false
	}
	// The bounds keep a wrong hash from costing the server its memory.
	return h, h.memory >= 8*uint32(h.threads) && h.memory <= 1<<18 && h.passes >= 1 && h.passes <= 16 &&
		h.threads >= 1 && len(h.salt) >= 8 && len(h.sum) >= 16 && len(h.sum) <= 128
}

func (h *hashed) readCost(s string) bool {
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return false
	}
	for i, key := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(parts[i], key)
		bits := 32
		if key == "p=" {
			bits = 8
		}
		n, err := strconv.ParseUint(text, 10, bits)
		if !ok || err != nil {
			return false
		}
		switch key {
		case "m=":
			h.memory = uint32(n)
		case "t=":
			h.passes = uint32(n)
		default:
			h.threads = uint8(n)
		}
	}
	return true
}

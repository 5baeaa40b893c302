package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"riposte/internal/fault"
)

// A sealed record is: version (1), id of the file's key (8), nonce (12), the
// record's own key sealed (32+16), nonce (12), the value sealed (n+16).
const (
	version     = 1
	nonceSize   = 12
	tagSize     = 16
	wrappedSize = keySize + tagSize
	prefixSize  = 1 + keyIDSize + nonceSize + wrappedSize + nonceSize
)

// Seal encrypts a value for the record with this id.
func (k *Keys) Seal(id string, value []byte) ([]byte, error) {
	var own [keySize]byte
	out := make([]byte, prefixSize, prefixSize+len(value)+tagSize)
	wrapNonce := out[1+keyIDSize:][:nonceSize]
	nonce := out[prefixSize-nonceSize:][:nonceSize]
	for _, b := range [][]byte{own[:], wrapNonce, nonce} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("seal %s: %w", id, err)
		}
	}
	first := k.keys[0]
	out[0] = version
	copy(out[1:], first.id[:])
	wrap, err := gcm(first.secret)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", id, err)
	}
	copy(out[1+keyIDSize+nonceSize:], wrap.Seal(nil, wrapNonce, own[:], bound(id, "key")))
	box, err := gcm(own)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", id, err)
	}
	return box.Seal(out, nonce, value, bound(id, "value")), nil
}

// Open decrypts what Seal made for the same id. What was changed, or sealed for
// another record, is a fault.Invalid; a key that the file lacks, fault.NotFound.
func (k *Keys) Open(id string, sealed []byte) ([]byte, error) {
	if len(sealed) < prefixSize+tagSize || sealed[0] != version {
		return nil, fmt.Errorf("open %s: this is nothing that was sealed here: %w", id, fault.Invalid)
	}
	one, ok := k.find(sealed)
	if !ok {
		return nil, fmt.Errorf("open %s: it was sealed with the key %x, which the key file does not hold; restore that key from its copy: %w", id, sealed[1:1+keyIDSize], fault.NotFound)
	}
	wrap, err := gcm(one.secret)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	rest := sealed[1+keyIDSize:]
	own, err := wrap.Open(nil, rest[:nonceSize], rest[nonceSize:nonceSize+wrappedSize], bound(id, "key"))
	if err != nil || len(own) != keySize {
		return nil, fmt.Errorf("open %s: it was changed, or sealed for another record: %w", id, fault.Invalid)
	}
	box, err := gcm([keySize]byte(own))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	value, err := box.Open(nil, sealed[prefixSize-nonceSize:prefixSize], sealed[prefixSize:], bound(id, "value"))
	if err != nil {
		return nil, fmt.Errorf("open %s: it was changed, or sealed for another record: %w", id, fault.Invalid)
	}
	return value, nil
}

// Reseal moves a sealed value to the first key of the file. changed is false
// when it is there already.
func (k *Keys) Reseal(id string, sealed []byte) (out []byte, changed bool, err error) {
	if one, ok := k.find(sealed); ok && one.id == k.keys[0].id {
		return sealed, false, nil
	}
	value, err := k.Open(id, sealed)
	if err != nil {
		return nil, false, err
	}
	out, err = k.Seal(id, value)
	return out, err == nil, err
}

func (k *Keys) find(sealed []byte) (key, bool) {
	if len(sealed) < 1+keyIDSize {
		return key{}, false
	}
	id := [keyIDSize]byte(sealed[1 : 1+keyIDSize])
	for _, one := range k.keys {
		if one.id == id {
			return one, true
		}
	}
	return key{}, false
}

func gcm(k [keySize]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// bound is what a sealed part is authenticated with: the record and which part.
func bound(id, part string) []byte { return []byte("riposte/" + part + "/" + id) }

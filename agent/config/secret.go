package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Secret is a key. It never shows itself: not printed, not formatted, not marshalled.
type Secret struct{ bytes []byte }

const redacted = "[redacted]"

// Bytes returns the key itself.
func (s Secret) Bytes() []byte { return s.bytes }

// String hides the key.
func (s Secret) String() string { return redacted }

// GoString hides the key.
func (s Secret) GoString() string { return redacted }

// Format hides the key from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the key.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// SecretSize is the length of a heartbeat key in bytes.
const SecretSize = 32

// The faults of a key file.
var (
	errKeyMode = errors.New("others may read the file")
	errKeyKind = errors.New("it is not a regular file")
	errKeyForm = errors.New("it does not hold 64 hexadecimal digits")
)

// ReadSecret reads a heartbeat key from a file that only its owner may read: 64 hexadecimal digits. Its content never gets
// into an error.
func ReadSecret(name string) (Secret, error) {
	s, err := readSecret(name)
	if err != nil {
		return Secret{}, fmt.Errorf("key file %s: %w; expected 64 hexadecimal digits in a file of mode 0600: `openssl rand -hex 32 > %s; chmod 600 %s`",
			name, err, name, name)
	}
	return s, nil
}

// readSecret reads a key file that only its owner may read. Kind and mode are those of the opened file, so that nobody
// can swap it in between; its content never gets into an error.
func readSecret(name string) (Secret, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, errKeyKind // opening a pipe would block
	}
	f, err := os.Open(name)
	if err != nil {
		return Secret{}, err
	}
	defer f.Close() //nolint:errcheck // only read from
	if info, err = f.Stat(); err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, errKeyKind
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Secret{}, fmt.Errorf("%w: its mode is %04o", errKeyMode, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 4*SecretSize))
	if err != nil {
		return Secret{}, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != SecretSize {
		return Secret{}, errKeyForm
	}
	return Secret{key}, nil
}

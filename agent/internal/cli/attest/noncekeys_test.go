package attest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/robowarden/robowarden/attest/verifier"
)

func TestTheKeyForNonces(t *testing.T) {
	dir := t.TempDir()
	// Verifiers of a group that start at once have the same key.
	var first [8][][]byte
	var starts sync.WaitGroup
	for i := range first {
		starts.Go(func() {
			_, keys, err := openNonceKeys("", dir)
			if err != nil {
				t.Error(err)
			}
			first[i] = keys
		})
	}
	starts.Wait()
	n, again, err := openNonceKeys("", dir)
	if err != nil || len(again) != 1 {
		t.Fatal(again, err)
	}
	for _, keys := range first {
		if len(keys) != 1 || len(keys[0]) != verifier.NonceKeyBytes || !bytes.Equal(keys[0], again[0]) {
			t.Errorf("%x, then %x", keys, again)
		}
	}
	path := filepath.Join(dir, "nonce.key")
	if info := must(os.Stat(path))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if list := must(os.ReadDir(dir))(t); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	if keys, err := n.changed(); err != nil || keys != nil {
		t.Errorf("read anew without a change: %x, %v", keys, err)
	}
	for range 3 {
		if out, err := station(t.Context(), NewVerifier(), "rotate", "--state-dir", dir); err != nil {
			t.Fatal(out, err)
		}
		keys, err := n.changed()
		if err != nil || len(keys) != 2 || bytes.Equal(keys[0], keys[1]) || !bytes.Equal(keys[1], again[0]) {
			t.Fatalf("after a rotation %x, %v; before %x", keys, err, again)
		}
		again = keys
	}
	for name, file := range map[string]string{
		"short": write(t, dir, "short", []byte("abcd\n"), 0o600), "open": write(t, dir, "open", []byte(strings.Repeat("00", 32)), 0o644),
		"no digits": write(t, dir, "text", []byte(strings.Repeat("xy", 32)), 0o600), "missing": filepath.Join(dir, "none"),
		"empty": write(t, dir, "empty", nil, 0o600), "too many": write(t, dir, "many", []byte(strings.Repeat(strings.Repeat("00", 32)+"\n", 4)), 0o600),
	} {
		if _, keys, err := openNonceKeys(file, dir); err == nil {
			t.Errorf("%s: %x", name, keys)
		}
	}
}

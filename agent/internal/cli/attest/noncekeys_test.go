package attest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/order"
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

// TestKeysThatNobodyUsesAreNotRotated: what rotate says has changed is what the verifier reads, by whatever flag it was started.
func TestKeysThatNobodyUsesAreNotRotated(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	key := must(order.MarshalPrivateKey(must(order.GenerateKey(order.ECDSAP256))(t)))(t)
	signer := write(t, elsewhere, "verifier.key", key, 0o600)
	other := write(t, elsewhere, "keys", []byte(strings.Repeat("00", 32)+"\n"), 0o600)
	link := filepath.Join(elsewhere, "link")
	if err := os.Symlink("keys", link); err != nil {
		t.Fatal(err)
	}
	hard, own, folder := filepath.Join(elsewhere, "hard"), filepath.Join(elsewhere, "own"), filepath.Join(elsewhere, "folder")
	for _, err := range []error{os.Symlink(nonceKeyFile(dir), own), os.Symlink(elsewhere, folder)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := func(given string) *nonceKeys {
		t.Helper()
		s := serving{dir: dir, key: signer, nonceKey: given, resultLife: time.Hour, challengeLife: time.Minute}
		_, keys, err := s.prepare(must(openStore(dir))(t), zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	for name, c := range map[string]struct {
		given, rotate string
		changes       bool
	}{
		"the folder's (off)": {"", "", true}, "the given ones": {other, other, true}, "the given ones, behind a link": {link, link, true},
		"the folder's, by its path": {"", nonceKeyFile(dir), true}, "the folder's, given by its path": {nonceKeyFile(dir), "", true}, "the folder's, behind a link": {own, "", true},
		"the given ones, without the link": {link, other, true}, "the given ones, in a linked folder": {other, filepath.Join(folder, "keys"), true},
		"given, and another name of the file rotated": {other, hard, false},
		"given, and the folder's rotated":             {other, "", false}, "the folder's, and others rotated": {"", other, false},
	} {
		n := begin("")
		if c.given != "" {
			n = begin(c.given)
		}
		if c.rotate == hard {
			if err := os.Link(other, hard); err != nil { // Now: rotate puts another file in the place of the one.
				t.Fatal(err)
			}
		}
		args := []string{"rotate", "--state-dir", dir}
		if c.rotate != "" {
			args = append(args, "--nonce-key", c.rotate)
		}
		out, err := station(t.Context(), NewVerifier(), args...)
		if told := strings.Contains(out, "changed"); told != c.changes || (err == nil) != c.changes {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if keys, err := n.changed(); err != nil || (keys != nil) != c.changes {
			t.Errorf("%s: the verifier reads %x, %v", name, keys, err)
		}
		if !c.changes && err != nil && !strings.Contains(err.Error(), "--nonce-key") {
			t.Errorf("%s: nobody is told what to do: %v", name, err)
		}
	}
	if info := must(os.Lstat(link))(t); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	unlock := must(flock(filepath.Join(dir, "nonce.lock"), unix.LOCK_EX))(t)
	if out, err := station(t.Context(), NewVerifier(), "rotate", "--state-dir", dir); err == nil {
		t.Errorf("two at once: %q", out)
	}
	unlock()
}

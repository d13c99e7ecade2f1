package attest

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/verifier"
)

// nonceKeys are the keys for challenges' nonces in a file, one a line: the first makes them, the others still count.
type nonceKeys struct {
	path string
	file os.FileInfo // As it was last read.
}

// nonceKeyFile is a folder's own file of keys for nonces.
func nonceKeyFile(dir string) string { return filepath.Join(dir, "nonce.key") }

// openNonceKeys reads the keys of a file or, without one, of the folder, and makes the folder's own where it is missing.
func openNonceKeys(path, dir string) (*nonceKeys, [][]byte, error) {
	if path == "" {
		path = nonceKeyFile(dir)
		if err := drawNonceKey(path); err != nil {
			return nil, nil, err
		}
	}
	n := &nonceKeys{path: path}
	keys, err := n.changed()
	return n, keys, err
}

// changed reads the keys if the file is another one than it was, and gives nil if it is not. Whoever replaces it replaces it whole.
func (n *nonceKeys) changed() ([][]byte, error) {
	info, err := os.Stat(n.path)
	if err != nil {
		return nil, err
	}
	if n.file != nil && os.SameFile(n.file, info) && n.file.ModTime().Equal(info.ModTime()) && n.file.Size() == info.Size() {
		return nil, nil
	}
	keys, err := readNonceKeys(n.path)
	if err != nil {
		return nil, err
	}
	n.file = info
	return keys, nil
}

// readNonceKeys reads a file of keys.
func readNonceKeys(path string) ([][]byte, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range strings.FieldsSeq(string(text)) {
		key, err := hex.DecodeString(line)
		if err != nil || len(key) != verifier.NonceKeyBytes || len(keys) == verifier.MaxNonceKeys {
			keys = nil
			break
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("%s: expected 1 to %d lines of %d hexadecimal digits; a damaged one may be removed, and robots ask again",
			path, verifier.MaxNonceKeys, 2*verifier.NonceKeyBytes)
	}
	return keys, nil
}

// drawNonceKey makes the folder's own file of keys where it is missing. Of two verifiers that start at once, one makes it.
func drawNonceKey(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	line, err := nonceKeyLine()
	if err != nil {
		return err
	}
	fresh := path + "." + rand.Text() // Process ids are not enough: in containers they are the same.
	if err := writeOwn(fresh, line); err != nil {
		return err
	}
	err = os.Link(fresh, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(fresh))
}

func nonceKeyLine() ([]byte, error) {
	key := make([]byte, verifier.NonceKeyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return []byte(hex.EncodeToString(key) + "\n"), nil
}

// nonceKeyInUse is the file that says which file of keys the folder's verifier started with last: its absolute path, or, for the folder's
// own, its name, since the folder may lie elsewhere on another computer.
const nonceKeyInUse = "nonce.path"

// nonceKeyName is what a flag's value is called there.
func nonceKeyName(given string) (string, error) {
	if given == "" {
		return filepath.Base(nonceKeyFile("")), nil
	}
	return filepath.Abs(given)
}

// noteNonceKey writes down which keys are in use, for who changes them.
func noteNonceKey(dir, given string) error {
	name, err := nonceKeyName(given)
	if err != nil {
		return err
	}
	return writeOwn(filepath.Join(dir, nonceKeyInUse), []byte(name+"\n"))
}

// inFolder is the path of what is named by an absolute path, or by its name in a folder.
func inFolder(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// sameFile says whether two paths lead to one name of a file, through whatever symbolic links. A hard link is another name: rotate replaces
// the file, so what has the other one would not change.
func sameFile(a, b string) bool {
	x, errX := filepath.EvalSymlinks(a)
	y, errY := filepath.EvalSymlinks(b)
	return errX == nil && errY == nil && x == y
}

// checkNonceKey refuses to change keys that nobody uses, as if that had an effect.
func checkNonceKey(dir, given string) error {
	name, err := nonceKeyName(given)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, nonceKeyInUse))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // No verifier has started here since there is such a file.
	}
	if err != nil {
		return err
	}
	if used := strings.TrimSuffix(string(text), "\n"); used != name && !sameFile(inFolder(dir, used), inFolder(dir, name)) {
		return fmt.Errorf("the verifier of %s uses the keys in %s, not those in %s: changing those would change nothing; give rotate the --nonce-key that the verifier has",
			dir, used, name)
	}
	return nil
}

// newRotate changes the key for nonces.
func newRotate(dir *string) *cobra.Command {
	var given string
	cmd := answer.Quiet(&cobra.Command{
		Use:   "rotate",
		Short: "Draw a new key for challenges' nonces; challenges by the one before still count",
		Long: `Rotate puts a new key for nonces in front of the one in use, and forgets all but that one: challenges that are open are answered
as if nothing had happened. Every verifier of the folder takes it with the next message. Do so twice, ten minutes apart, if
somebody may have seen the key: it lets its holder pass old answers off as fresh, and nothing else.

A verifier that was started with --nonce-key needs the same here; keys that the folder's verifier does not use are not changed.`,
		Example: "  robowarden-station verifier rotate --state-dir /var/lib/robowarden-verifier",
		Args:    answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := openStore(*dir); err != nil {
				return err
			}
			if err := rotate(*dir, given); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "nonce key  changed; answers to challenges by the one before count until it is changed again\n")
			return nil
		},
	})
	cmd.Flags().StringVar(&given, "nonce-key", "", "the file with the keys that the verifier was started with; nonce.key in the folder without")
	return cmd
}

// rotate puts a new key in front of the one in use. Of two at once one is refused: it would have the key before both forgotten.
func rotate(dir, given string) error {
	unlock, err := flock(filepath.Join(dir, "nonce.lock"), unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("%s: the keys are being changed already (%w)", dir, err)
	}
	defer unlock()
	if err := checkNonceKey(dir, given); err != nil {
		return err
	}
	path, err := filepath.EvalSymlinks(cmp.Or(given, nonceKeyFile(dir))) // The file is replaced, not what leads to it.
	if err != nil {
		return err
	}
	old, err := readNonceKeys(path)
	if err != nil {
		return err
	}
	text, err := nonceKeyLine()
	if err != nil {
		return err
	}
	return writeOwn(path, append(text, hex.EncodeToString(old[0])+"\n"...))
}

// Package keys is the station's subcommands keygen, sign and show: they make keys, put signatures under orders and say
// what a signed order would do; they never send anything anywhere and never write over a file.
//
// Every command ends with 0 if it did what it was asked, 1 if the answer is no (a refused order, an unusable key), and
// 2 if it was not used as it should be.
package keys

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

// output writes a command's answer as text for people or as JSON for programs.
type output struct{ format string }

func (a *output) flag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&a.format, "output", "text", "text for people, json for programs")
}

func (a *output) check() error {
	if a.format != "text" && a.format != "json" {
		return answer.Usage("--output: expected text or json, found %q", a.format)
	}
	return nil
}

func (a *output) write(w io.Writer, text string, doc any) error {
	if a.format == "text" {
		_, err := io.WriteString(w, text)
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// clock returns the engineer's civil time. On a desk it is taken as it is; the robot judges with its own.
func clock() order.Times {
	return order.Times{Civil: time.Now().UTC(), Trust: order.Trusted}
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // The engineer names the file.
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // Only read.
	return readOpen(f, limit)
}

func readOpen(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, the most that is read", f.Name(), limit)
	}
	return data, nil
}

// writeNew writes a file that must not exist yet, and returns once it is durable.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // As above.
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: choose another name, nothing is ever written over", path)
	}
	if err != nil {
		return err
	}
	// The umask may have taken bits away, never added them; what must be private already is.
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// maxKeyFile is larger than any file of keys.
const maxKeyFile = 64 << 10

// readPrivate reads a private key that nobody else on this machine can read.
func readPrivate(path string) (crypto.Signer, error) {
	f, err := os.Open(path) //nolint:gosec // The engineer names the file.
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // Only read.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so others may have read it: expected 0600; "+
			"make a new key, or chmod 600 if nobody else uses this machine", path, mode)
	}
	text, err := readOpen(f, maxKeyFile)
	if err != nil {
		return nil, err
	}
	key, err := order.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// readKeyList reads a signed key list and checks it against the root keys in a file, when one is given.
func readKeyList(path, roots string) (*order.KeyList, error) {
	envelope, err := readFile(path, order.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	var pins []crypto.PublicKey
	if roots != "" {
		text, err := readFile(roots, maxKeyFile)
		if err != nil {
			return nil, err
		}
		if pins, err = order.ParsePublicKeys(text); err != nil {
			return nil, fmt.Errorf("%s: %w", roots, err)
		}
	}
	list, err := order.OpenKeyList(envelope, pins)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

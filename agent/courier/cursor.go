package courier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/robowarden/robowarden/agent/evidencelog"
)

// cursorFile holds, for each log and boot, the last record that the consumer has acknowledged.
const cursorFile = "cursor.json"

// maxBoots is how many boots of a log are remembered. An older one's records have long gone to the quota.
const maxBoots = 16

// mark is one point of the cursor as the file holds it.
type mark struct {
	Log    string `json:"log"`
	BootID string `json:"boot_id"`
	Seq    uint64 `json:"seq"`
	Digest string `json:"digest"`
}

// cursor is how far each log has been acknowledged, newest boot first.
type cursor struct {
	// Robot is the robot's id as the guard said it last, so that the courier can report while the guard is away.
	Robot string
	Marks map[string][]evidencelog.Position
}

// cursorBody is the file's content; Sum is over the body as it stands in the file.
type cursorBody struct {
	Robot string `json:"robot"`
	Marks []mark `json:"marks"`
}

type cursorDocument struct {
	Body json.RawMessage `json:"body"`
	Sum  string          `json:"sha256"`
}

// errCursor means that the file cannot be used. Everything is then sent again; the consumer knows what it has.
var errCursor = errors.New("the cursor file is damaged")

// move notes an acknowledgement.
func (c *cursor) move(log string, p evidencelog.Position) {
	list := []evidencelog.Position{p}
	for _, q := range c.Marks[log] {
		if q.BootID != p.BootID && len(list) < maxBoots {
			list = append(list, q)
		}
	}
	c.Marks[log] = list
}

func (c *cursor) encode() ([]byte, error) {
	b := cursorBody{Robot: c.Robot, Marks: []mark{}}
	for _, log := range []string{evidencelog.Guard, evidencelog.Courier, evidencelog.Steward} {
		for _, p := range c.Marks[log] {
			b.Marks = append(b.Marks, mark{log, evidencelog.FormatBoot(p.BootID), p.Seq, hex.EncodeToString(p.Digest[:])})
		}
	}
	body, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return json.Marshal(cursorDocument{body, hex.EncodeToString(sum[:])})
}

func decodeCursor(data []byte) (*cursor, error) {
	c := &cursor{Marks: map[string][]evidencelog.Position{}}
	var d cursorDocument
	if err := json.Unmarshal(data, &d); err != nil {
		return c, fmt.Errorf("%w: %w", errCursor, err)
	}
	if sum := sha256.Sum256(d.Body); hex.EncodeToString(sum[:]) != d.Sum {
		return c, fmt.Errorf("%w: its content does not match its digest", errCursor)
	}
	var b cursorBody
	if err := json.Unmarshal(d.Body, &b); err != nil {
		return c, fmt.Errorf("%w: %w", errCursor, err)
	}
	for _, m := range b.Marks {
		p := evidencelog.Position{Seq: m.Seq}
		var err error
		p.BootID, err = evidencelog.ParseBoot(m.BootID)
		digest, bad := hex.DecodeString(m.Digest)
		if err != nil || bad != nil || len(digest) != len(p.Digest) || !evidencelog.IsLog(m.Log) || len(c.Marks[m.Log]) == maxBoots {
			return &cursor{Marks: map[string][]evidencelog.Position{}}, fmt.Errorf("%w: mark %+v", errCursor, m)
		}
		copy(p.Digest[:], digest)
		c.Marks[m.Log] = append(c.Marks[m.Log], p)
	}
	c.Robot = b.Robot
	return c, nil
}

// loadCursor reads the cursor of dir. It always returns one that can be used.
func loadCursor(dir string) (*cursor, error) {
	data, err := os.ReadFile(filepath.Join(dir, cursorFile)) //nolint:gosec // our own folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &cursor{Marks: map[string][]evidencelog.Position{}}, nil
	case err != nil:
		return &cursor{Marks: map[string][]evidencelog.Position{}}, fmt.Errorf("%w: %w", errCursor, err)
	}
	return decodeCursor(data)
}

// storeCursor replaces the file: whole or not at all, also when the power fails.
func storeCursor(dir string, data []byte) error { return replaceFile(dir, cursorFile, data) }

// replaceFile replaces a file of ours whole and returns once that is durable.
func replaceFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

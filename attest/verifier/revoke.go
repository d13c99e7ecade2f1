package verifier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Revoke forgets that a robot is enrolled: from now on nothing that comes in its name counts, and its last result runs out. What
// is known about its TPM stays, for people; only enrolling it anew forgets that.
func (d *DirStore) Revoke(robot string) error {
	path, err := d.file(dirRobots, robot, ".json")
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("revoking %s: %w", robot, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

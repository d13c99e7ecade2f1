//go:build qualify

package machine

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// keepers are the product's tests of what fs-verity keeps, which need a kernel and a file system that have it.
var keepers = []struct{ pkg, test string }{
	{"slots", "^TestVerityOfTheKernel$"},
	{"steward", "^TestVerityIsNotReadAgain$"},
}

// TestVerity runs them on the machine's ext4.
func TestVerity(t *testing.T) {
	t.Parallel()
	able(t)
	disk := t.TempDir()
	for _, k := range keepers {
		env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64"}
		out := filepath.Join(disk, k.pkg+".test")
		if err := command(env, filepath.Join(cpp.Root(), ".."), "go", "test", "-c", "-tags=device", "-trimpath", "-ldflags=-s -w", "-o", out, "./agent/"+k.pkg); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Boot(t, Config{Parts: made.Parts, Disk: disk, Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keepers {
		t.Run(k.pkg, func(t *testing.T) {
			argv := []string{wire.Data + "/" + k.pkg + ".test", "-test.v", "-test.run=" + k.test}
			if err := m.StartWith(within(t, patience), k.pkg, []string{"ROBOWARDEN_VERITY=" + wire.Data}, argv...); err != nil {
				t.Fatal(err)
			}
			out := must(m.Output(within(t, 2*patience), k.pkg, true))(t)
			t.Log(out.Text)
			if out.Exit != "exit status 0" || strings.Contains(out.Text, "SKIP") || !strings.Contains(out.Text, "PASS: "+strings.Trim(k.test, "^$")) {
				t.Errorf("%s: %s", k.test, out.Exit)
			}
		})
	}
}

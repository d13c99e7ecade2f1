package host

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMeansOfThisProcess(t *testing.T) {
	w := NewMeansWatch()
	defer w.Close()
	before := w.Look()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !before.DescriptorsKnown || !before.MemoryKnown || uint64(before.DescriptorLimit) != min(limit.Cur, 1<<32-1) || before.MemoryLeft == 0 {
		t.Fatalf("found %+v", before)
	}
	const more = 40
	for range more {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
	}
	if got := w.Look().Descriptors; got < before.Descriptors+more {
		t.Errorf("%d files are open after %d more than %d", got, more, before.Descriptors)
	}
}

func TestMeansSeeAPause(t *testing.T) {
	w := NewMeansWatch()
	defer w.Close()
	runtime.GC()
	if got := w.Look().Pause; got <= 0 {
		t.Errorf("a collection took %v of pauses", got)
	}
}

func TestMeansMakeNoGarbage(t *testing.T) {
	w := NewMeansWatch()
	defer w.Close()
	w.Look()
	if got := testing.AllocsPerRun(100, func() { w.Look() }); got != 0 {
		t.Errorf("%v objects a look", got)
	}
}

func TestMemoryLeft(t *testing.T) {
	const meminfo = "MemTotal:  1000000 kB\nMemFree: 10 kB\nMemAvailable:     2048 kB\nSwapTotal: 0 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		left  uint64
		known bool
	}{
		"the computer's":          {map[string]string{"meminfo": meminfo}, 2 << 20, true},
		"no meminfo":              {map[string]string{}, 0, false},
		"no number":               {map[string]string{"meminfo": "MemAvailable: many kB\n"}, 0, false},
		"another line's number":   {map[string]string{"meminfo": "XMemAvailable: 5 kB\nMemAvailableX: 5 kB\n"}, 0, false},
		"a group without a limit": {map[string]string{"meminfo": meminfo, "self/cgroup": "0::/a\n", "cg/a/memory.max": "max\n"}, 2 << 20, true},
		"a group's limit": {map[string]string{
			"meminfo": meminfo, "self/cgroup": "1:cpu:/x\n0::/a\n", "cg/a/memory.max": "1000\n", "cg/a/memory.current": "400\n",
		}, 600, true},
		"its cache is left": {map[string]string{
			"meminfo": meminfo, "self/cgroup": "0::/a\n", "cg/a/memory.max": "1000\n", "cg/a/memory.current": "990\n", "cg/a/memory.stat": "anon 1\ninactive_file 500\n",
		}, 510, true},
		"the group above": {map[string]string{
			"meminfo": meminfo, "self/cgroup": "0::/a/b\n", "cg/a/memory.max": "1000\n", "cg/a/memory.current": "2000\n", "cg/a/b/memory.max": "max\n",
		}, 0, true},
		"a limit and no use": {map[string]string{"meminfo": meminfo, "self/cgroup": "0::/a\n", "cg/a/memory.max": "1000\n"}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w := newMeansWatch(root, filepath.Join(root, "cg"))
			defer w.Close()
			if got := w.Look(); got.MemoryLeft != c.left || got.MemoryKnown != c.known || got.DescriptorsKnown {
				t.Errorf("found %+v, expected %d bytes, known %t, and no descriptors", got, c.left, c.known)
			}
		})
	}
}

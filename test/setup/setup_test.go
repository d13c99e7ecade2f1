package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// stub is a machine made of shell scripts: dpkg-query knows the packages in installed, apt-get adds to it and writes
// down how it was called. No test here ever reaches the real apt-get.
type stub struct {
	dir, calls, installed string
}

func newStub(t *testing.T, installed, candidates string) stub {
	t.Helper()
	dir := t.TempDir()
	s := stub{dir: dir, calls: filepath.Join(dir, "calls"), installed: filepath.Join(dir, "installed")}
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("installed", installed, 0o644)
	write("calls", "", 0o644)
	write("list", "# peers\nalpha\nbeta # trailing remark\n\ngamma\n", 0o644)
	write("dpkg-query", `#!/bin/sh
shift 2
rc=0
for p in "$@"; do
  if grep -qx "$p" "`+s.installed+`"; then echo "installed $p"; else rc=1; fi
done
exit $rc
`, 0o755)
	write("apt-cache", `#!/bin/sh
case " `+candidates+` " in *" $2 "*) printf '%s:\n  Candidate: 1.0\n' "$2";; *) printf '%s:\n  Candidate: (none)\n' "$2";; esac
`, 0o755)
	write("apt-get", `#!/bin/sh
echo "apt-get $*" >>"`+s.calls+`"
[ "$1" = install ] || exit 0
if [ -e "`+dir+`/busy" ]; then echo OVERLAP >>"`+s.calls+`"; fi
touch "`+dir+`/busy"; sleep 0.2; rm "`+dir+`/busy"
shift
for p in "$@"; do case $p in -*) ;; *) echo "$p" >>"`+s.installed+`";; esac; done
`, 0o755)
	// sudo stands in for root rights where the tests do not run as root.
	write("sudo", "#!/bin/sh\nshift\nexec \"$@\"\n", 0o755)
	return s
}

func (s stub) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"install.sh"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+s.dir+":"+os.Getenv("PATH"),
		"ROBOWARDEN_APT_LIST="+filepath.Join(s.dir, "list"), "ROBOWARDEN_APT_LOCK="+filepath.Join(s.dir, "lock"))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("install.sh did not start: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (s stub) aptCalls(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(s.calls)
	if err != nil {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

func TestNothingMissingRunsNothing(t *testing.T) {
	s := newStub(t, "alpha\nbeta\ngamma\n", "")
	if out, rc := s.run(t); rc != 0 || len(s.aptCalls(t)) != 0 {
		t.Fatalf("exit %d, calls %q, output %s", rc, s.aptCalls(t), out)
	}
}

func TestMissingPackagesGoIntoOneInstall(t *testing.T) {
	s := newStub(t, "beta\n", "alpha gamma")
	out, rc := s.run(t)
	want := "apt-get install -y --no-install-recommends alpha gamma"
	if got := s.aptCalls(t); rc != 0 || len(got) != 1 || got[0] != want {
		t.Fatalf("exit %d, calls %q, want only %q; output %s", rc, got, want, out)
	}
}

func TestUpdateOnlyWhenAptDoesNotKnowAPackage(t *testing.T) {
	s := newStub(t, "beta\n", "alpha")
	out, rc := s.run(t)
	got := s.aptCalls(t)
	if rc != 0 || len(got) != 2 || got[0] != "apt-get update" {
		t.Fatalf("exit %d, calls %q, want one update and one install; output %s", rc, got, out)
	}
}

func TestTwoCallersNeverOverlap(t *testing.T) {
	s := newStub(t, "", "alpha beta gamma")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { s.run(t) })
	}
	wg.Wait()
	if got := s.aptCalls(t); len(got) != 1 {
		t.Fatalf("calls %q, want a single install for three callers", got)
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	s := newStub(t, "beta\n", "")
	out, rc := s.run(t, "--check")
	if rc != 1 || !strings.Contains(out, "alpha gamma") || len(s.aptCalls(t)) != 0 {
		t.Fatalf("exit %d, output %q, calls %q", rc, out, s.aptCalls(t))
	}
}

func TestUnknownOptionIsUsage(t *testing.T) {
	s := newStub(t, "", "")
	if out, rc := s.run(t, "--frobnicate"); rc != 2 || !strings.Contains(out, "expected") {
		t.Fatalf("exit %d, output %q", rc, out)
	}
}

func TestListHasNoDuplicates(t *testing.T) {
	out, err := exec.Command("/bin/sh", "install.sh", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for p := range strings.FieldsSeq(string(out)) {
		if seen[p] {
			t.Errorf("apt.txt names %s twice", p)
		}
		seen[p] = true
	}
	if len(seen) < 30 {
		t.Fatalf("apt.txt names %d packages, want the whole list", len(seen))
	}
}

package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Cgroup is a control group with a memory limit, made below the test's own group.
type Cgroup struct {
	dir string
	v2  bool
}

// NewCgroup makes a group whose processes together may hold limitBytes of memory. It works with the version 1 memory
// controller and with version 2 where the test's group may pass the controller on; otherwise it says why not.
func NewCgroup(name string, limitBytes int64) (*Cgroup, error) {
	own, v2, err := ownMemoryGroup()
	if err != nil {
		return nil, err
	}
	if v2 {
		control := filepath.Join(own, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("+memory"), 0o644); err != nil {
			return nil, fmt.Errorf("proc: this control group cannot pass the memory controller on: %w", err)
		}
	}
	dir, err := os.MkdirTemp(own, "robowarden-test-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("proc: new control group: %w", err)
	}
	c := &Cgroup{dir: dir, v2: v2}
	file := "memory.limit_in_bytes"
	if v2 {
		file = "memory.max"
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(limitBytes, 10)), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("proc: memory limit of the control group: %w", err), c.Remove())
	}
	return c, nil
}

// ownMemoryGroup finds the directory of the memory controller's group that this process is in.
func ownMemoryGroup() (dir string, v2 bool, err error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false, fmt.Errorf("proc: own control group: %w", err)
	}
	unified := ""
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" {
			unified = f[2]
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c == "memory" {
				return filepath.Join("/sys/fs/cgroup/memory", f[2]), false, nil
			}
		}
	}
	dir = filepath.Join("/sys/fs/cgroup", unified)
	if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err != nil {
		return "", false, fmt.Errorf("proc: no memory controller for this process: %w", err)
	}
	return dir, true, nil
}

// Remove deletes the group. Its processes must have ended.
func (c *Cgroup) Remove() error {
	if err := os.Remove(c.dir); err != nil {
		return fmt.Errorf("proc: remove control group: %w", err)
	}
	return nil
}

// start starts the command inside the group; a nil group means outside of any.
func (c *Cgroup) start(cmd *exec.Cmd) error {
	switch {
	case c == nil:
		return cmd.Start()
	case c.v2:
		f, err := os.Open(c.dir)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(f.Fd())
		return cmd.Start()
	}
	// Version 1 has no way to be born in a group: a shell enters it and then becomes the program, with the same pid.
	script := `echo $$ >"$0" && exec "$@"`
	cmd.Args = append([]string{"/bin/sh", "-c", script, filepath.Join(c.dir, "cgroup.procs")}, cmd.Args...)
	cmd.Path = "/bin/sh"
	return cmd.Start()
}

// OOMKill makes the kernel's out-of-memory killer take the process, which must be in this group: neighbours in the
// same group eat up the memory, and the process is marked as the first to go. It returns how the process ended.
func (c *Cgroup) OOMKill(ctx context.Context, p *Process) (Exit, error) {
	adj := fmt.Sprintf("/proc/%d/oom_score_adj", p.PID())
	if err := os.WriteFile(adj, []byte("1000"), 0o644); err != nil {
		return Exit{}, fmt.Errorf("proc: offer pid %d to the out-of-memory killer: %w", p.PID(), err)
	}
	// tail looks for a line's end in an endless stream of zeros, and keeps all it has read meanwhile. Two of them share
	// the eating: the mark counts as (almost) the whole limit, so one alone could look worse than the victim.
	for _, name := range []string{"hog 1", "hog 2"} {
		hog, err := Start(Spec{Name: name, Argv: []string{"tail", "/dev/zero"}, Cgroup: c})
		if err != nil {
			return Exit{}, err
		}
		defer hog.Kill()
	}
	exit, err := p.Wait(ctx)
	if err == nil && exit.Signal != syscall.SIGKILL {
		err = fmt.Errorf("proc: expected the out-of-memory killer's SIGKILL, found %s", exit)
	}
	return exit, err
}

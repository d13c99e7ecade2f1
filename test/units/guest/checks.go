package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is generous: the processor is emulated.
const patience = 60 * time.Second

type check struct {
	name string
	do   func() (string, error)
}

var checks = []check{
	{"installs and starts nothing", installs},
	{"units start and are ready", starts},
	{"each role is who it should be", identities},
	{"walls from inside stand", walls},
	{"the process behind a publisher is found", facts},
	{"every wall of the units is crossed in vain", crossings},
	{"steward and courier killed, the guard goes on", kills},
	{"a guard that stands still is started anew", watchdog},
	{"removal ends the roles and keeps the evidence", removal},
}

func installs() (string, error) {
	if _, err := command("dpkg", "--force-unsafe-io", "-i", media+"/robowarden.deb"); err != nil {
		return "", err
	}
	all := []string{unit("guard"), unit("steward"), unit("courier")}
	enabled, _ := command("systemctl", append([]string{"is-enabled"}, all...)...)
	active, _ := command("systemctl", append([]string{"is-active"}, all...)...)
	if enabled != "enabled\nenabled\nenabled" || active != "inactive\ninactive\ninactive" {
		return "", fmt.Errorf("expected all enabled and inactive, found %q and %q", enabled, active)
	}
	if out, err := command("id", "robowarden-courier"); err != nil || !strings.Contains(out, "(robowarden-courier)") {
		return "", fmt.Errorf("accounts: %s, %w", out, err)
	}
	return command("dpkg-query", "-W", "robowarden")
}

// configure copies the test's documents to where the units look.
func configure() error {
	return filepath.WalkDir(media+"/etc", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := "/etc/robowarden" + strings.TrimPrefix(path, media+"/etc")
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.Contains(to, "/credentials/") {
			mode = 0o600
		}
		return os.WriteFile(to, b, mode)
	})
}

func starts() (string, error) {
	if err := configure(); err != nil {
		return "", err
	}
	if err := startPlant(); err != nil {
		return "", err
	}
	begun := time.Now()
	// Type=notify: the command returns when the guard has said that its loop turns. The others are only wanted.
	if _, err := command("systemctl", "start", unit("guard")); err != nil {
		return "", err
	}
	guard := time.Since(begun)
	for _, r := range roles {
		if err := eventually(r+" active: "+property(r, "ActiveState")+" "+property(r, "Result"), func() bool { return property(r, "ActiveState") == "active" }); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("guard ready after %.1f s, all after %.1f s", guard.Seconds(), time.Since(begun).Seconds()), nil
}

// startPlant starts a publisher as a unit of its own, with a user of its own.
func startPlant() error {
	_, err := command("systemd-run", "--unit=plant.service", "--property=DynamicUser=yes", "--property=User=plant", media+"/guest", "plant")
	return err
}

func mainPID(role string) int {
	n, _ := strconv.Atoi(property(role, "MainPID"))
	return n
}

// status reads one line of a process's status.
func status(pid int, key string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func identities() (string, error) {
	var all []string
	capabilities := map[string]string{"guard": "0000000000000000", "steward": "0000000000080004", "courier": "0000000000000004"}
	for _, r := range roles {
		props := properties(r, "MainPID", "NRestarts", "WatchdogUSec")
		pid, _ := strconv.Atoi(props["MainPID"])
		owner := project
		if r != "guard" {
			owner += "-" + r
		}
		id, err := command("id", "-u", owner)
		if err != nil {
			return "", err
		}
		cgroup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		for what, pair := range map[string][2]string{
			"user":           {strings.Fields(status(pid, "Uid") + " ?")[0], id},
			"capabilities":   {status(pid, "CapEff"), capabilities[r]},
			"no new rights":  {status(pid, "NoNewPrivs"), "1"},
			"system calls":   {status(pid, "Seccomp"), "2"},
			"control group":  {strings.TrimSpace(string(cgroup)), "0::/robowarden.slice/" + unit(r)},
			"out of memory":  {strings.TrimSpace(readText(fmt.Sprintf("/proc/%d/oom_score_adj", pid))), map[string]string{"guard": "-900", "steward": "100", "courier": "200"}[r]},
			"started anew":   {props["NRestarts"], "0"},
			"watched":        {strconv.FormatBool(props["WatchdogUSec"] != "0"), "true"},
			"binary in unit": {readLink(fmt.Sprintf("/proc/%d/exe", pid)), "/usr/bin/robowarden"},
		} {
			if pair[0] != pair[1] {
				return "", fmt.Errorf("%s (pid %d): %s: expected %q, found %q", r, pid, what, pair[1], pair[0])
			}
		}
		all = append(all, r+" uid "+id)
	}
	// Field 41 of stat is the scheduling class: 2 is SCHED_RR.
	stat := readText(fmt.Sprintf("/proc/%d/stat", mainPID("guard")))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 39 || fields[38] != "2" {
		return "", fmt.Errorf("guard: expected SCHED_RR, found class %s", fields[38])
	}
	return strings.Join(all, ", ") + ", guard under SCHED_RR", nil
}

func readText(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

func readLink(path string) string {
	l, _ := os.Readlink(path)
	return l
}

// walls reads what each role has told the service manager: which of its own walls stand on this kernel.
func walls() (string, error) {
	var all []string
	for _, r := range roles {
		text := property(r, "StatusText")
		all = append(all, text)
		if !strings.Contains(text, "walls stand") {
			return "", fmt.Errorf("%s: expected its walls in the status, found %q", r, text)
		}
		// Debian 12's kernel has the second version of Landlock: what that cannot do is missing, and said to be.
		_, missing, _ := strings.Cut(text, "missing: ")
		for name := range strings.SplitSeq(missing, ", ") {
			switch name {
			case "", "truncate", "listen", "devices", "abstract-sockets", "ports":
			default:
				return "", fmt.Errorf("%s: wall %q does not stand: %s", r, name, text)
			}
		}
	}
	return strings.Join(all, "; "), nil
}

// facts waits until the steward has found the plant's unit.
func facts() (string, error) {
	var text string
	err := eventually("a record with plant.service", func() bool {
		text, _ = command("journalctl", "--no-pager", "-o", "cat", "-u", unit("steward"), "-g", `"unit":"plant.service"`)
		return strings.Contains(text, "plant.service")
	})
	if err != nil {
		log, _ := command("journalctl", "--no-pager", "-o", "cat", "-u", unit("steward"))
		return "", fmt.Errorf("%w; it logged: %s", err, log)
	}
	return strings.SplitN(text, "\n", 2)[0], nil
}

func kills() (string, error) {
	const rounds = 1
	guard := mainPID("guard")
	for n := range rounds {
		for _, r := range []string{"steward", "courier"} {
			before := mainPID(r)
			if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
				return "", fmt.Errorf("kill %s: %w", r, err)
			}
			err := eventually(r+" back", func() bool {
				props := properties(r, "MainPID", "ActiveState")
				now, _ := strconv.Atoi(props["MainPID"])
				return now != 0 && now != before && props["ActiveState"] == "active"
			})
			if err != nil {
				return "", fmt.Errorf("kill %d: %w", n, err)
			}
		}
	}
	if now := mainPID("guard"); now != guard || property("guard", "NRestarts") != "0" {
		return "", fmt.Errorf("the guard was pid %d and is %d, started anew %s times", guard, now, property("guard", "NRestarts"))
	}
	return fmt.Sprintf("%d times each; guard still pid %d", rounds, guard), nil
}

// watchdog stops the guard's process, so that its loop makes no progress while the process is there.
func watchdog() (string, error) {
	before := mainPID("guard")
	begun := time.Now()
	if err := syscall.Kill(before, syscall.SIGSTOP); err != nil {
		return "", err
	}
	err := eventually("another guard", func() bool {
		props := properties("guard", "MainPID", "ActiveState")
		now, _ := strconv.Atoi(props["MainPID"])
		return now != 0 && now != before && props["ActiveState"] == "active"
	})
	if err != nil {
		return "", err
	}
	took := time.Since(begun)
	log, err := command("journalctl", "--no-pager", "-o", "cat", "-u", unit("guard"), "-g", "[Ww]atchdog timeout")
	if err != nil || !strings.Contains(log, "atchdog timeout") {
		return "", fmt.Errorf("expected systemd's watchdog as the cause: %s %w", log, err)
	}
	if n := property("guard", "NRestarts"); n != "1" {
		return "", fmt.Errorf("started anew %s times, expected once", n)
	}
	return fmt.Sprintf("guarding again %.1f s after it stood still; then busy: %s", took.Seconds(), busiest(5*time.Second)), nil
}

// crossings runs the probe as each unit would run its role, and once as nothing but root.
func crossings() (string, error) {
	if _, err := command("ip", "address", "add", foreignHost+"/32", "dev", "lo"); err != nil {
		return "", err
	}
	if err := os.WriteFile("/root/secret", []byte("secret"), 0o600); err != nil {
		return "", err
	}
	l, err := listenForeign()
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // the machine's end
	free := map[string]string{}
	if err := probeAs("", free); err != nil {
		return "", err
	}
	var problems []error
	tried := 0
	for _, role := range roles {
		got := map[string]string{}
		if err := probeAs(role, got); err != nil {
			return "", err
		}
		for _, p := range probes {
			tried++
			switch crossed, should := got[p.name] == "", strings.Contains(p.may, role); {
			case free[p.name] != "":
				problems = append(problems, fmt.Errorf("%s: without a unit: %s", p.name, free[p.name]))
			case crossed && !should:
				problems = append(problems, fmt.Errorf("%s: %s went through", role, p.name))
			case !crossed && should:
				problems = append(problems, fmt.Errorf("%s: %s: %s", role, p.name, got[p.name]))
			}
		}
	}
	return fmt.Sprintf("%d attempts as expected, each possible without the units", tried), errors.Join(problems...)
}

// probeAs runs the probe under a copy of the role's unit; without a role, under none.
func probeAs(role string, into map[string]string) error {
	out := "/run/probe.json"
	_ = os.Remove(out)
	if role == "" {
		if _, err := command(media+"/guest", "probe", out); err != nil {
			return err
		}
	} else {
		var lines []string
		for line := range strings.Lines(readText("/usr/lib/systemd/system/" + unit(role))) {
			key, _, _ := strings.Cut(line, "=")
			switch strings.TrimSpace(key) {
			// What makes it a service; the walls stay.
			case "Type", "NotifyAccess", "Restart", "RestartSec", "WatchdogSec", "TimeoutStartSec", "RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve":
			case "ExecStart":
				lines = append(lines, "Type=oneshot\nTimeoutStartSec=60s\nStandardError=journal\nStandardOutput=file:"+out+"\nExecStart="+media+"/guest probe -\n")
			default:
				lines = append(lines, line)
			}
		}
		name := "probe-" + role + ".service"
		if err := os.WriteFile("/run/systemd/system/"+name, []byte(strings.Join(lines, "")), 0o644); err != nil {
			return err
		}
		if _, err := command("systemctl", "daemon-reload"); err != nil {
			return err
		}
		if _, err := command("systemctl", "start", name); err != nil {
			log, _ := command("journalctl", "--no-pager", "-n", "20", "-o", "cat", "-u", name)
			return fmt.Errorf("%w: %s", err, log)
		}
	}
	return json.Unmarshal([]byte(readText(out)), &into)
}

func removal() (string, error) {
	pid := mainPID("guard")
	if _, err := command("dpkg", "-r", project); err != nil {
		return "", err
	}
	if err := eventually("the guard's end", func() bool { return syscall.Kill(pid, 0) != nil }); err != nil {
		return "", err
	}
	kept, err := os.ReadDir("/var/lib/robowarden/journal")
	if err != nil || len(kept) == 0 {
		return "", fmt.Errorf("the journal is gone: %w", err)
	}
	return "the journal is still there", nil
}

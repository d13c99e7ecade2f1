package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// maxSocketPath is the longest path of a unix socket that Linux takes.
const maxSocketPath = 107

// checkDeployment checks what the types cannot say about a deployment, and reads the heartbeat keys.
func (l *loader) checkDeployment(d *document, p *Deployment) {
	if q, s := p.Journal.QuotaMiB, p.Journal.SegmentMiB; q > 0 && s > 0 && s > q/4 {
		d.wrong(at("journal", "segment_mib"), ruleOrder, fmt.Sprintf("at most a quarter of quota_mib (%d)", q/4), fmt.Sprint(s),
			"whole segments are deleted; with fewer than four, too much history goes at once")
	}
	if n := len(p.Paths.ControlSocket); n > maxSocketPath {
		d.wrong(at("paths", "control_socket"), "text-length", fmt.Sprintf("at most %d bytes as an absolute path", maxSocketPath), fmt.Sprintf("%d bytes", n),
			"Linux takes no longer path for a socket")
	}
	d.checkTokens(p)
	if c := p.Courier; c != nil && c.BoundKey != nil {
		if c.TPM == "" {
			d.wrong(at("courier", "bound_key"), ruleMissing, "tpm as well", "no tpm", "a TPM measures the state")
		}
		if c.Key != "" {
			d.wrong(at("courier", "key"), ruleOrder, "no key beside bound_key", c.Key, "it works in any state")
		}
		if c.BoundKey.Recovery != "" && c.BoundKey.Recovery == c.Certificate {
			d.wrong(at("courier", "bound_key", "recovery"), ruleOrder, "another path than certificate", c.Certificate, "each key has its own")
		}
	}
	d.unique("heartbeat_keys", "endpoint", names(p.HeartbeatKeys, func(k HeartbeatKey) string { return k.Endpoint }))
	d.unique("command_keys", "key", names(p.CommandKeys, func(k CommandKey) string { return k.Key }))
	l.cfg.HeartbeatKeys, l.cfg.CommandKeys = map[string]Secret{}, map[string]Secret{}
	for i, k := range p.HeartbeatKeys {
		l.readKey(d, at("heartbeat_keys", i, "file"), l.cfg.HeartbeatKeys, k.Endpoint, k.File)
	}
	for i, k := range p.CommandKeys {
		l.readKey(d, at("command_keys", i, "file"), l.cfg.CommandKeys, k.Key, k.File)
	}
}

// readKey reads one key file into keys, and tells what is wrong with it.
func (l *loader) readKey(d *document, where *path, keys map[string]Secret, name, file string) {
	if file == "" {
		return
	}
	key, err := readSecret(file)
	if err == nil {
		keys[name] = key
		return
	}
	problem := Problem{Rule: "key-file", Expected: "a key file that only its owner may read", Found: reason(err), folder: l.folder}
	switch {
	case errors.Is(err, errKeyMode):
		problem.Rule, problem.folder = "key-file-mode", ""
		problem.Hint = "set the file's mode to 0600 and draw a new key: others may have read this one"
	case errors.Is(err, errKeyForm):
		problem.Rule, problem.folder = "key-file-form", ""
		problem.Hint = "the file holds the key as 64 hexadecimal digits in one line; it is not shown here"
	case errors.Is(err, fs.ErrNotExist):
		problem.Found = "no such file"
	}
	d.about(where.find(d.root), where, problem)
}

// checkTokens checks that programs can be told apart, and that the roles are there that give tokens out.
func (d *document) checkTokens(p *Deployment) {
	t := p.Tokens
	if t == nil {
		return
	}
	if p.Courier == nil || p.Steward == nil {
		d.wrong(at("tokens"), ruleMissing, "the sections courier and steward as well", "one of them or none", "the courier gives tokens out, and the steward says to whom")
	}
	for key, path := range map[string]string{"socket": t.Socket, "callers_socket": t.CallersSocket} {
		if n := len(path); n > maxSocketPath {
			d.wrong(at("tokens", key), "text-length", fmt.Sprintf("at most %d bytes as an absolute path", maxSocketPath), fmt.Sprintf("%d bytes", n),
				"Linux takes no longer path for a socket")
		}
	}
	if t.Socket != "" && t.Socket == t.CallersSocket {
		d.wrong(at("tokens", "callers_socket"), ruleOrder, "another path than socket", t.CallersSocket, "two roles listen, each on its own")
	}
	for i, program := range t.Programs {
		if program.Unit == "" && len(program.ExeSHA256) == 0 {
			d.about(at("tokens", "programs", i).find(d.root), at("tokens", "programs", i), Problem{
				Rule: ruleMissing, Expected: "unit or exe_sha256", Found: "neither",
				Hint: "a user alone may run any program; a unit's user of its own is what tells programs apart", Example: "unit: planner.service",
			})
		}
		for j, g := range program.Grants {
			if slices.ContainsFunc(program.Grants[:j], func(o TokenGrant) bool { return o.Audience == g.Audience }) {
				d.wrong(at("tokens", "programs", i, "grants", j, "audience"), ruleDuplicate, "each audience once", g.Audience+" again", "put its roles together")
			}
		}
		if slices.ContainsFunc(t.Programs[:i], func(o TokenProgram) bool { return o.Name == program.Name }) {
			d.wrong(at("tokens", "programs", i, "name"), ruleDuplicate, "each name once", program.Name+" again", "a token's subject is one program")
		}
	}
}

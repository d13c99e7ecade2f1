package config

import (
	"errors"
	"fmt"
	"io/fs"
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
	d.unique("heartbeat_keys", "endpoint", names(p.HeartbeatKeys, func(k HeartbeatKey) string { return k.Endpoint }))
	l.cfg.HeartbeatKeys = map[string]Secret{}
	for i, k := range p.HeartbeatKeys {
		if k.File == "" {
			continue
		}
		key, err := readSecret(k.File)
		if err == nil {
			l.cfg.HeartbeatKeys[k.Endpoint] = key
			continue
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
		where := at("heartbeat_keys", i, "file")
		d.about(where.find(d.root), where, problem)
	}
}

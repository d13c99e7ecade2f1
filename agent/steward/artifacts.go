package steward

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
)

const (
	// recheck is how long a measurement counts for files that look unchanged. Looking unchanged is no proof, only cheap: who
	// may write can set times back, so everything is read again now and then.
	recheck = 10 * time.Minute
	// verityEvery is how often the kernel is asked what it keeps; nothing is read for that.
	verityEvery = 10 * time.Second
	// roundTime is how long one round waits for content that is being read. What changed has no digest any more after it, however
	// large it is.
	roundTime = 10 * time.Second
)

// maxName is the longest name of an artifact in bytes, as in releases.
const maxName = 64

// measured is what was found the last time in one artifact's active slot.
type measured struct {
	look   looked // What the files looked like.
	at     time.Duration
	digest string
	why    string
	// kept is what protects the content from here to the next look, as the contract has it.
	kept string
	// verity is the digest over what the kernel keeps, asked at the time asked; empty where it does not.
	verity string
	asked  time.Duration
}

// artifacts measures the active slots below one folder. Only one goroutine uses it.
type artifacts struct {
	dir   string
	clock func() time.Duration
	// roundTime is what a round has for reading, 0 for roundTime.
	roundTime time.Duration
	known     map[string]measured
	// good is what was found the last time that an artifact could be measured, before that of the slot that was active before.
	good, before map[string]measured
	// trouble is why the folder cannot be read, empty while it can.
	trouble string
	// reading is the content that is being read, read the one that was and that nobody has asked for yet.
	reading, read *reading
	watch         watch
	loaded        loaded
}

// measure looks at every artifact and hashes those that changed, or whose turn it is; at most one whose files look unchanged
// in a round, so that the rest of the robot keeps its disk and processor.
func (a *artifacts) measure(ctx context.Context) []contract.Artifact {
	list, err := os.ReadDir(a.dir)
	a.trouble = ""
	if err != nil {
		a.trouble = err.Error()
		return nil // Nothing said: unknown, which restricts.
	}
	a.watch.hear()
	round, cancel := context.WithTimeout(ctx, cmp.Or(a.roundTime, roundTime))
	defer cancel()
	var out []contract.Artifact
	turn := true
	for _, e := range list {
		// No release names a folder with such a name, and the contract would not carry what is said about the others beside it.
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || len(e.Name()) > maxName || !utf8.ValidString(e.Name()) || len(out) == contract.MaxArtifacts {
			continue
		}
		m := a.one(ctx, round, e.Name(), &turn)
		a.remember(e.Name(), &m)
		say := contract.Artifact{Name: e.Name(), SHA256: m.digest, Why: m.why}
		if m.digest != "" {
			say.Why = m.kept
		}
		out = append(out, say)
	}
	a.lookAtUses(round)
	return out
}

// remember keeps what was measured, and what was in the other slot before.
func (a *artifacts) remember(name string, m *measured) {
	if a.known[name].look.text != m.look.text {
		a.loaded.due = true
	}
	a.known[name] = *m
	if m.digest == "" {
		return // Where nothing could be measured, nothing is known to have changed.
	}
	if a.good == nil {
		a.good, a.before = map[string]measured{}, map[string]measured{}
	}
	if good, ok := a.good[name]; ok && good.look.slot != m.look.slot {
		a.before[name] = good
	}
	a.good[name] = *m
}

// one measures one artifact, or repeats what is known.
func (a *artifacts) one(ctx, round context.Context, name string, turn *bool) measured {
	now := a.clock()
	look, err := a.look(name)
	if err != nil {
		return measured{at: now, why: clipped(err)}
	}
	was, ok := a.known[name]
	same := ok && was.look.text == look.text && was.digest != "" && !a.watch.changed[name]
	switch {
	case !same:
	case was.verity != "":
		if now-was.asked < verityEvery {
			return was
		}
		if digest, kept := a.verity(ctx, name, look.slot); kept && digest == was.verity {
			was.asked = now
			return was
		}
		if ctx.Err() != nil {
			return was
		}
		same = false // The kernel keeps something else, or does not any more.
	case now-was.at < recheck || !*turn:
		return was
	}
	if same {
		*turn = false
	}
	m, err := a.content(round, name, &look, same)
	if err != nil {
		if same && (ctx.Err() != nil || errors.Is(err, errBusy)) {
			return was // There was no time; the next round goes on.
		}
		return measured{at: now, why: clipped(err)}
	}
	// What changed while it was read was not measured.
	a.watch.hear()
	if after, err := a.look(name); err != nil || after.text != look.text || a.watch.changed[name] {
		return measured{at: now, why: "it changed while it was read"}
	}
	m.look, m.at, m.asked = look, now, now
	return m
}

// verity asks the kernel what it keeps of a slot.
func (a *artifacts) verity(ctx context.Context, name, slot string) (digest string, kept bool) {
	d, err := slots.OpenDir(filepath.Join(a.dir, name))
	if err != nil {
		return "", false
	}
	defer d.Close() //nolint:errcheck // it was read only
	return slots.View(name, d).Kept(ctx, slot)
}

// clipped shortens a reason. Names of files are in it, so it need not be UTF-8 yet, which the contract demands.
func clipped(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), contract.MaxText/2)], "?")
}

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/robowarden/robowarden/attest/order"
)

// Files of the halted releases in the state directory.
const (
	haltsFile = "halted.json"
	haltsNew  = "halted.json.new"
)

// maxHalts is how many halted releases are remembered. With one more, all count as halted, until a person has looked: whoever
// may stop a robot may halt releases, and must not make it forget one by halting many.
const maxHalts = 256

// tooManyHalts is why no release is installed then.
const tooManyHalts = "more releases were halted than this robot remembers (256): none is installed until somebody who knows why has removed halted.json and starts the guard anew"

// halts remembers the releases that were halted.
type halts struct {
	mu   sync.Mutex
	list []halted
	// unreadable says why nobody knows which releases were halted: then all were.
	unreadable string
	// disk is held while the list is written; who only asks does not wait for it.
	disk sync.Mutex
}

// halted is one release that must not be installed any more.
type halted struct {
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// why says why a version must not be installed, false if it may.
func (h *halts) why(version string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unreadable != "" {
		return h.unreadable, true
	}
	for _, x := range h.list {
		if x.Version == version {
			return x.Reason, true
		}
	}
	if len(h.list) > maxHalts {
		return tooManyHalts, true
	}
	return "", false
}

// openHalts reads what was halted before.
func (a *Agent) openHalts() {
	raw, err := a.state.readPolicy(haltsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var list []halted
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err != nil {
		a.log.Error().Err(err).Msg("which releases were halted cannot be read: none may be installed")
		a.halts.unreadable = fmt.Sprintf("which releases were halted cannot be read: %v", err)
		return
	}
	a.halts.list = list
}

// haltRelease makes a halt hold at once, and durable afterwards.
func (a *Agent) haltRelease(version, reason string) error {
	h := &a.halts
	h.disk.Lock()
	defer h.disk.Unlock()
	list, unreadable := h.add(version, reason)
	if unreadable != "" {
		return errors.New(unreadable) // What lies there is not written over.
	}
	raw, err := json.Marshal(list)
	if err == nil {
		err = a.state.replace(haltsNew, haltsFile, raw)
	}
	return err
}

// add makes a halt hold from now on, and returns all.
func (h *halts) add(version, reason string) (list []halted, unreadable string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) <= maxHalts && !slices.ContainsFunc(h.list, func(x halted) bool { return x.Version == version }) {
		h.list = append(h.list, halted{version, reason})
	}
	return slices.Clone(h.list), h.unreadable
}

// HaltedText is what the receipt says of a halt that holds and is durable.
func HaltedText(version string) string {
	return fmt.Sprintf("release %s is never installed here any more", version)
}

// halted lets a halt take effect.
func (o *orders) halted(v *order.Verified, times order.Times) Receipt {
	r := accepted(v)
	r.Applied, r.Text = true, HaltedText(v.Order.Halt.Version)
	if err := o.halt(v.Order.Halt.Version, v.Order.Reason); err != nil {
		// It holds until the guard ends. Its id is not used up, so that it can come again.
		r.Text += "; that could not be made durable: " + err.Error()
		return r
	}
	o.recordUsed(v, times, &r)
	return r
}

package order

import "fmt"

// Halt ends the spreading of a release: a robot that has seen one for a version never installs that version, nor takes an order
// that names it. It takes nothing back, and nothing lifts it: what goes on is another version, signed as a release.
type Halt struct {
	// Version is the release's.
	Version string
}

func (h *Halt) check() error {
	if !isWord(h.Version, "._+-") {
		return fmt.Errorf("body.version: found %q: expected 1 to 64 letters, digits or \"._+-\"", clip(h.Version))
	}
	return nil
}

func (h *Halt) effect() string {
	return "halts release " + h.Version + ": no robot that sees this installs it any more"
}

type wireHalt struct {
	Version string `json:"version"`
}

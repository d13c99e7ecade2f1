package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/order"
)

// Run are the flags that bind an order to one run of the guard on one robot: what names the run cannot have been used up before it.
type Run struct {
	boot, nonce, status string
}

// Flags adds --boot-id, --nonce and --from-status.
func (r *Run) Flags(f *pflag.FlagSet) {
	f.StringVar(&r.boot, "boot-id", "", "the robot's boot id, as its status shows it")
	f.StringVar(&r.nonce, "nonce", "", "the guard's nonce, as its status shows it; an order without it waits until a TPM has proven the robot's disk")
	f.StringVar(&r.status, "from-status", "", "take --boot-id, --nonce and, if none is given, --audience from the robot's answer to robowarden status --output json, or from its state message")
}

// maxStatus is the largest answer that is read.
const maxStatus = 4 << 20

// Read gives the binding, and fills in whom the order is for if nobody has said.
func (r *Run) Read(audience *[]string) (order.Binding, error) {
	if r.status == "" {
		return order.Binding{BootID: r.boot, Nonce: r.nonce}, nil
	}
	if r.boot != "" || r.nonce != "" {
		return order.Binding{}, Usage("--from-status says --boot-id and --nonce: give it, or these")
	}
	s, err := readRun(r.status)
	if err != nil {
		return order.Binding{}, fmt.Errorf("--from-status: %s is no answer of `robowarden status --output json`: %w", r.status, err)
	}
	if len(*audience) == 0 {
		*audience = []string{s.Robot}
	}
	if len(*audience) != 1 || (*audience)[0] != s.Robot {
		return order.Binding{}, Usage("--audience is %q, and --from-status is of %q: the nonce is that of this robot alone", *audience, s.Robot)
	}
	return order.Binding{BootID: s.BootID, Nonce: s.Nonce}, nil
}

// run is what names a run of the guard.
type run struct {
	Robot  string `json:"robot"`
	BootID string `json:"boot_id"`
	Nonce  string `json:"nonce"`
}

// readRun reads a status, or a state message of the fleet, which has the status inside.
func readRun(path string) (*run, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("expected a regular file"), err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxStatus+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxStatus {
		return nil, fmt.Errorf("has more than %d bytes, as no status has", maxStatus)
	}
	var s struct {
		run
		Guard *run `json:"guard"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	found := s.run
	if s.Guard != nil {
		// A state message says whose it is outside as well; of the two the guard's own word is meant, and they must not differ.
		if s.BootID != "" || s.Nonce != "" || s.Robot != "" && s.Robot != s.Guard.Robot {
			return nil, fmt.Errorf("expected a status or a state message, found both: %q and %q", s.run, *s.Guard)
		}
		found = *s.Guard
	}
	if !order.IsRobotID(found.Robot) || found.BootID == "" || found.Nonce == "" {
		return nil, fmt.Errorf("expected the keys robot (\"manufacturer/serial\"), boot_id and nonce, found %q, %q and %q", found.Robot, found.BootID, found.Nonce)
	}
	return &found, nil
}

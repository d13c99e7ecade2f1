package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

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
	info, err := os.Stat(r.status)
	if err == nil && info.Size() > maxStatus {
		err = fmt.Errorf("has %d bytes, more than any status", info.Size())
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(r.status) //nolint:gosec // the user names the file
	}
	type run struct {
		Robot  string `json:"robot"`
		BootID string `json:"boot_id"`
		Nonce  string `json:"nonce"`
	}
	var s run
	message := struct{ Guard *run }{&s} // a state message of the fleet has the status inside
	if err == nil {
		err = errors.Join(json.Unmarshal(raw, &s), json.Unmarshal(raw, &message))
	}
	if err == nil && (s.Robot == "" || s.BootID == "" || s.Nonce == "") {
		err = fmt.Errorf("expected the keys robot, boot_id and nonce, found %q, %q and %q", s.Robot, s.BootID, s.Nonce)
	}
	if err != nil {
		return order.Binding{}, fmt.Errorf("--from-status: %s is no answer of `robowarden status --output json`: %w", r.status, err)
	}
	if len(*audience) == 0 {
		*audience = []string{s.Robot}
	}
	return order.Binding{BootID: s.BootID, Nonce: s.Nonce}, nil
}

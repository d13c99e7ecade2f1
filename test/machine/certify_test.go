//go:build !qualify

package machine

import (
	"crypto"
	"encoding/json"
	"os"
	"testing"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// authority has nothing to start here: in a short run the broker's own authority hands out the robot's certificate.
func (*station) authority(testing.TB) (roots []string) { return nil }

// certify puts a certificate for the robot's key into place by hand, and returns who the robot is as a person would carry it.
func (r *robot) certify(t testing.TB, ak []byte, device crypto.PublicKey) (identity []byte) {
	t.Helper()
	certificate := must(os.ReadFile(r.station.broker.Authority.Certificate(t, broker.CommonName(robotID), device)))(t)
	if err := r.Put(within(t, patience), wire.Data+"/robot.pem", certificate); err != nil {
		t.Fatal(err)
	}
	return must(json.Marshal(&evidence.Identity{Robot: robotID, Tier: order.TierTPM, AK: ak, Key: device}))(t)
}

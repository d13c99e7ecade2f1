package courier

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/attest/evidence"
)

// Identify returns what a verifier has to know about this robot before it believes it: its keys and what keeps them.
// The software key of a robot without a TPM is drawn if there is none yet. Whoever carries the answer to the verifier
// vouches that it is this robot's.
func Identify(c *config.Courier, robot string) (*evidence.Identity, error) {
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("courier.state_dir: %w", err)
	}
	id, err := openIdentity(c, time.Now())
	if err != nil {
		return nil, err
	}
	defer id.close()
	out := &evidence.Identity{Robot: robot, Tier: id.tier, Key: id.key.Public()}
	if id.tpm != nil {
		ak := id.tpm.AKPublic()
		if ak == nil {
			return nil, errors.New("the TPM has no attestation key")
		}
		out.AK = ak
		if id.bound != nil {
			out.Key, out.Recovery = id.bound.Public(), id.tpm.Device().Public()
		}
	}
	return out, nil
}

package replay

import (
	"fmt"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
)

// Documents finds a run's parameters in the folder where the guard stores documents by their content: each is named
// after its SHA-256. The digests are checked, so a changed document is not taken for the one that decided.
func Documents(folder string) Params {
	return func(s Start) (*guard.Params, error) {
		cfg, err := loadStored(folder, s)
		if err != nil {
			return nil, err
		}
		for _, d := range []struct{ name, want, got string }{
			{"profile", s.Profile, cfg.Digests.Profile.String()},
			{"topics", s.Topics, cfg.Digests.Topics.String()},
			{"policy", s.Policy, cfg.Digests.Policy.String()},
		} {
			if d.want != d.got {
				return nil, fmt.Errorf("stored %s: expected digest %s, found %s", d.name, d.want, d.got)
			}
		}
		cfg.Deployment = &config.Deployment{Serial: s.Serial}
		return guard.NewParams(cfg, s.Node, s.Floor)
	}
}

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/hal/host"
)

// errDocuments is why a policy for another profile or mapping cannot be loaded into a guard that runs.
var errDocuments = errors.New("the policy pins another robot profile or topic mapping than this run started with; that needs a restart of the guard at rest")

// stageOrder checks that a verified policy set or key list can be put into force, and returns what does it.
func (a *Agent) stageOrder(v *order.Verified, envelope []byte) (func() error, error) {
	if v.Order.Kind == order.KindKeyList {
		return a.stageKeyList(v)
	}
	if v.Order.Kind == order.KindRelease {
		return a.stageRelease(v, envelope)
	}
	var next *staged
	// Reading and compiling a large site takes a slow computer a second; the guard goes on beside it.
	err := host.Aside(func() (err error) {
		next, err = a.compile(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	var fits error
	a.guard.With(func(c *guard.Core) { fits = c.Fits(next.params) })
	if fits != nil {
		return nil, fits
	}
	// A set that is used up has to be where the next start finds it, or that start would find only sets that are too old.
	// Until then the present one keeps its place.
	if err := errors.Join(a.storeDocuments(next.cfg), a.state.replace(policyNew, policyNext, envelope)); err != nil {
		return nil, fmt.Errorf("the policy could not be stored: %w", err)
	}
	next.cfg.Forget()
	return func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := a.guard.Load(next.ready, next.note); err != nil {
			return err
		}
		a.cfg, a.params = next.cfg, next.params
		if err := a.state.takeNextPolicy(); err != nil {
			a.log.Warn().Err(err).Msg("the policy in force stays under the name of the next one")
		}
		return nil
	}, nil
}

// staged is a policy that is read, checked and compiled, with what the journal is told of it.
type staged struct {
	cfg    *config.Config
	params *guard.Params
	ready  *guard.Ready
	note   []byte
}

// compile makes a verified policy set ready. It takes none of the locks that the path takes.
func (a *Agent) compile(v *order.Verified) (*staged, error) {
	p, err := signedPolicy(v)
	if err != nil {
		return nil, err
	}
	// The documents are read again together, so that pins, zones and channels are checked as at a start.
	cfg, err := config.LoadConfig(a.opt.Deployment, func(*config.Deployment, []byte) (config.SignedPolicy, error) { return p, nil })
	if err != nil {
		return nil, err
	}
	if now, _ := a.current(); cfg.Digests.Profile != now.Digests.Profile || cfg.Digests.Topics != now.Digests.Topics {
		return nil, errDocuments
	}
	params, err := guard.NewParams(cfg, cfg.Deployment.Node(cfg.Profile.Bus), a.oldest)
	if err != nil {
		return nil, err
	}
	note, err := json.Marshal(policyStatus(cfg))
	if err != nil {
		return nil, err
	}
	return &staged{cfg, params, guard.Prepare(params), note}, nil
}

func (a *Agent) stageKeyList(v *order.Verified) (func() error, error) {
	next, err := a.orders.verifier.Load().WithKeyList(v)
	if err != nil {
		return nil, err
	}
	// Beside the present ones, so that at every moment the disk holds what the record of used orders names.
	if err := a.state.storeKeyLists(keyListNext, next.Chain()); err != nil {
		return nil, fmt.Errorf("the key list could not be stored: %w", err)
	}
	return func() error {
		a.orders.verifier.Store(next)
		err := a.state.storeKeyLists(keyListFmt, next.Chain())
		if err == nil {
			err = a.state.storeKeyLists(keyListNext, nil)
		}
		if err != nil {
			a.log.Warn().Err(err).Msg("the key lists in force stay under the names of the next ones")
		}
		return nil
	}, nil
}

// storeDocuments keeps the documents by their content, where a replay finds them by the digests that the journal names.
func (a *Agent) storeDocuments(cfg *config.Config) error {
	folder := filepath.Join(a.state.path, "documents")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("store documents: %w", err)
	}
	documents := maps.Clone(cfg.Raw.Definitions)
	if documents == nil {
		documents = map[string][]byte{}
	}
	for digest, raw := range map[config.Digest][]byte{
		cfg.Digests.Policy: cfg.Raw.Policy, cfg.Digests.Profile: cfg.Raw.Profile, cfg.Digests.Topics: cfg.Raw.Topics,
	} {
		documents[strings.TrimPrefix(digest.String(), "sha256:")+".yaml"] = raw
	}
	if cfg.Raw.URDF != nil {
		documents[strings.TrimPrefix(cfg.Digests.URDF.String(), "sha256:")+".urdf"] = cfg.Raw.URDF
	}
	for name, raw := range documents {
		path := filepath.Join(folder, name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, raw) { //nolint:gosec // our own folder
			continue
		}
		// Whole or not at all: a document cut by a power cut would be taken for the one that a replay needs.
		if err := errors.Join(os.WriteFile(path+".new", raw, 0o600), os.Rename(path+".new", path)); err != nil {
			return fmt.Errorf("store documents: %w", err)
		}
	}
	return nil
}

package agent

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/envelope"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/hal/host"
)

// Names in the folder that the deployment's paths.keys names.
const (
	// rootsFile holds the PEM public keys of the roots that the robot was enrolled with.
	rootsFile = "roots.pem"
	// keyListPattern matches the signed key lists that the robot was delivered with, oldest first by name.
	keyListPattern = "keylist*.dsse.json"
)

// errProfile is why a policy set cannot be judged: whom it is for depends on the profile's manufacturer.
var errProfile = errors.New("policy set: the robot profile has to be in order first")

// robotID is "manufacturer/serial" in the characters that VDA 5050 allows; every other character becomes a hyphen.
func robotID(manufacturer, serial string) string {
	return word(manufacturer) + "/" + word(serial)
}

func word(s string) string {
	out := strings.Map(func(r rune) rune {
		if r < 128 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("_.:-", r)) {
			return r
		}
		return '-'
	}, s)
	return out[:min(len(out), 64)]
}

// bootUUID is the boot id as /proc writes it.
func bootUUID(id [16]byte) string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// openOrders opens the record of used orders and the verifier that starts from the enrolled roots.
func (a *Agent) openOrders(dep *config.Deployment) error {
	// The record is made on the first start only: later, an absent one means that somebody removed it.
	_, err := os.Stat(filepath.Join(dep.Paths.StateDir, latchFile))
	first := errors.Is(err, fs.ErrNotExist)
	a.store = order.OpenStore(a.state.dir, first)
	a.ledger = &ledger{store: a.store}
	if state, _ := a.store.State(); state == order.StateNew {
		// Both records begin together, so that later one without the other means that somebody removed it.
		if err := a.state.firstLatches(); err != nil {
			return err
		}
	}
	if state, err := a.store.State(); err != nil {
		a.log.Error().Err(err).Str("state", string(state)).Msg("the record of used orders cannot be read; only stops are taken")
	}
	roots, err := readRoots(filepath.Join(dep.Paths.Keys, rootsFile))
	if err != nil && !a.ranBefore() {
		return err
	}
	if err != nil {
		// A robot that ran before must not stay unguarded because a file is gone: nobody's signature counts, and it stands.
		a.log.Error().Err(err).Msg("the root keys cannot be read; no order counts")
		nobody, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		roots = []crypto.PublicKey{nobody}
	}
	if err := a.openKeyLists(dep, roots); err != nil {
		return err
	}
	if err := a.verify.Fault(); err != nil {
		a.log.Error().Err(err).Msg("no key list is in force; only stops and a new key list are taken")
		return nil
	}
	a.trust.floor = max(a.trust.floor, signedSince(a.verify.Chain()))
	if v := a.verify.InForce(); v != nil {
		// The record of used orders has to know the delivered key list, so that an older one never comes back.
		now := times(a.clock.Civil(), a.trust.judge(a.clock.Sync(), a.clock.Boot(), a.clock.Civil()))
		if err := a.store.Commit(now, v); err != nil {
			a.log.Error().Err(err).Msg("the key list in force could not be recorded")
		}
	}
	return nil
}

// ranBefore is true on a robot that a policy was once in force on, as far as can be told. One that was never set up is
// better told what is missing than started.
func (a *Agent) ranBefore() bool {
	if state, err := a.store.State(); err != nil || state == order.StateMissing || state == order.StateDamaged {
		return true
	}
	_, ok := a.store.Floor(order.KindPolicySet)
	return ok
}

// openKeyLists starts from the chain of key lists that ends in the one accepted last, which the record of used orders
// knows: the stored one, the next one if the guard ended while it changed them, or the delivered one if none is stored.
func (a *Agent) openKeyLists(dep *config.Deployment, roots []crypto.PublicKey) error {
	delivered, err := deliveredKeyLists(dep.Paths.Keys)
	if err != nil {
		a.log.Error().Err(err).Msg("the delivered key lists cannot be read")
	}
	for _, lists := range [][][]byte{a.state.keyLists(keyListFmt), a.state.keyLists(keyListNext), delivered} {
		if len(lists) == 0 && a.verify != nil {
			continue
		}
		v, err := order.NewVerifier(order.Config{
			Robot: a.robot, Groups: dep.Groups, BootID: bootUUID(a.boot), Nonce: a.nonce, Roots: roots, RequiredRoots: 1,
			KeyLists: lists, AllowDemo: a.opt.AllowDemo,
		}, a.ledger)
		if err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		if len(lists) > 0 && v.Fault() == nil {
			a.verify = v
			return nil
		}
		if a.verify == nil || a.verify.Fault() == nil {
			a.verify = v
		}
	}
	return nil
}

// signedSince is the newest beginning of validity among key lists that the verifier has accepted: the roots would not
// have signed a list in force from a time that had not come.
func signedSince(lists [][]byte) int64 {
	var newest int64
	for _, list := range lists {
		if e, err := order.ParseEnvelope(list); err == nil {
			if o, err := order.Decode(e.Payload); err == nil {
				newest = max(newest, o.NotBefore.UnixNano())
			}
		}
	}
	return newest
}

func readRoots(path string) ([]crypto.PublicKey, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the path comes from the deployment, which the owner of the robot writes
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoRoots, err)
	}
	var roots []crypto.PublicKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		key, err := order.ParsePublicKey(pem.EncodeToMemory(block))
		if err != nil {
			return nil, fmt.Errorf("%s: key %d: %w", path, len(roots)+1, err)
		}
		roots, data = append(roots, key), rest
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("%w: %s holds no PEM block", errNoRoots, path)
	}
	return roots, nil
}

func deliveredKeyLists(folder string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(folder, keyListPattern))
	if err != nil {
		return nil, fmt.Errorf("key lists: %w", err)
	}
	sort.Strings(names)
	var lists [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name) //nolint:gosec // as above
		if err != nil {
			return nil, fmt.Errorf("key list: %w", err)
		}
		lists = append(lists, data)
	}
	return lists, nil
}

// deliveredVerifier verifies by the delivered keys alone, for who checks a configuration: it uses nothing up.
func deliveredVerifier(dep *config.Deployment, robot string) (*order.Verifier, error) {
	roots, err := readRoots(filepath.Join(dep.Paths.Keys, rootsFile))
	if err != nil {
		return nil, err
	}
	lists, err := deliveredKeyLists(dep.Paths.Keys)
	if err != nil {
		return nil, err
	}
	v, err := order.NewVerifier(order.Config{Robot: robot, Groups: dep.Groups, Roots: roots, RequiredRoots: 1, KeyLists: lists}, order.NewFloors())
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return v, nil
}

// InspectPolicy takes the policy out of its signed set as a start would, but uses nothing up and writes nothing: it is for
// checking a configuration.
func InspectPolicy(dep *config.Deployment, bundle []byte) (config.SignedPolicy, error) {
	if dep == nil {
		return config.SignedPolicy{}, errors.New("policy set: give the deployment as well, since its keys decide who may sign")
	}
	cfg, err := config.Load(nil, dep.Paths.Profile)
	if err != nil {
		return config.SignedPolicy{}, errProfile
	}
	v, err := deliveredVerifier(dep, robotID(cfg.Profile.Manufacturer, dep.Serial))
	if err != nil {
		return config.SignedPolicy{}, err
	}
	// Whoever checks a file looks at a clock that he trusts.
	got, err := v.Verify(times(host.Clock{}.Civil(), 2), bundle)
	if err != nil {
		return config.SignedPolicy{}, fmt.Errorf("policy set: %w", err)
	}
	if got.Order.Kind != order.KindPolicySet {
		return config.SignedPolicy{}, fmt.Errorf("policy set: expected an order of kind %q, found %q", order.KindPolicySet, got.Order.Kind)
	}
	return signedPolicy(got)
}

// openState opens what has to be there before the policy can be judged.
func (a *Agent) openState(dep *config.Deployment) error {
	a.log = a.opt.NewLog(dep.Log.Level, dep.Log.Format)
	cfg, err := config.Load(nil, dep.Paths.Profile)
	if err != nil {
		return errProfile // Its own errors are told with the profile.
	}
	a.robot = robotID(cfg.Profile.Manufacturer, dep.Serial)
	if a.state, err = openState(dep.Paths.StateDir, a.log); err != nil {
		return err
	}
	if err := a.openTime(); err != nil {
		return err
	}
	return a.openOrders(dep)
}

// openTime takes up the newest time that was ever trusted or signed. Where it is gone or damaged on a robot that ran
// before, somebody may have set the clock back with it: then the clock is not trusted until a time service says so.
func (a *Agent) openTime() error {
	a.trust.floor = a.opt.Epoch
	newest, err := a.state.newestTime()
	_, missing := os.Stat(filepath.Join(a.state.path, latchFile))
	switch {
	case err == nil:
		a.trust.floor = max(a.trust.floor, newest)
	case errors.Is(missing, fs.ErrNotExist):
		return a.state.storeTime(a.opt.Epoch)
	default:
		a.trust.stepped = true
		a.log.Error().Err(err).Msg("the newest trusted time cannot be read; civil time is not trusted until a time service disciplines the clock")
	}
	return nil
}

// heartbeats prepares the endpoints' keys. A missing key is an error at start: a channel that can never prove itself
// would stop the robot later, when nobody remembers why.
func (a *Agent) heartbeats() ([]*guard.Heartbeat, error) {
	var out []*guard.Heartbeat
	for _, c := range a.cfg.Policy.Channels {
		key, ok := a.cfg.HeartbeatKeys[c.Endpoint]
		if !ok {
			return nil, fmt.Errorf("channel %q has no key: add it to the deployment under heartbeat_keys", c.Endpoint)
		}
		h, err := guard.NewHeartbeat(c.Endpoint, a.robot, a.boot, key.Bytes())
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// envelopes prepares the keys of commanders that have to prove themselves, and says of the others that they have not. A
// missing key is an error at start, as for heartbeats.
func (a *Agent) envelopes() (guard.Envelopes, error) {
	out := make(guard.Envelopes, len(a.cfg.Topics.Commands))
	for i, c := range a.cfg.Topics.Commands {
		p := a.cfg.Policy.Commander(c.Channel)
		if p == nil || p.Authenticity != config.AuthenticityRequired {
			why := "the policy does not say whether they have to; add the channel to its commanders"
			if p != nil {
				why = p.Reason
			}
			a.log.Warn().Str("channel", c.Channel).Str(keyReason, why).Msg("commands of this channel do not have to prove who sent them")
			continue
		}
		var keys []envelope.Key
		for _, id := range p.Keys {
			key, ok := a.cfg.CommandKeys[id]
			if !ok {
				return nil, fmt.Errorf("commander of channel %q has no key %q: add it to the deployment under command_keys", c.Channel, id)
			}
			keys = append(keys, envelope.Key{ID: id, Secret: key.Bytes()})
		}
		o, err := envelope.NewOpener(envelope.Binding{Robot: a.robot, Boot: a.boot, Topic: c.Topic, Type: c.Type}, c.MaxBytes, keys...)
		if err != nil {
			return nil, fmt.Errorf("channel %q: %w", c.Channel, err)
		}
		out[i] = o
	}
	return out, nil
}

// channel is the number of a channel of the topic mapping, -1 for a name that it does not have.
func (a *Agent) channel(name string) int {
	return slices.IndexFunc(a.cfg.Topics.Commands, func(c config.CommandIn) bool { return c.Channel == name })
}

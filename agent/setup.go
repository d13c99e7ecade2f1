package agent

import (
	"crypto"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
)

// Names in the folder that the deployment's paths.keys names.
const (
	// rootsFile holds the PEM public keys of the roots that the robot was enrolled with.
	rootsFile = "roots.pem"
	// keyListPattern matches the signed key lists that the robot was delivered with, oldest first by name.
	keyListPattern = "keylist*.dsse.json"
)

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
	if state, err := a.store.State(); err != nil {
		a.opt.Log.Error().Err(err).Str("state", string(state)).Msg("the record of used orders cannot be read; only stops are taken")
	}
	roots, err := readRoots(filepath.Join(dep.Paths.Keys, rootsFile))
	if err != nil {
		return err
	}
	lists := a.state.keyLists()
	if len(lists) == 0 {
		if lists, err = deliveredKeyLists(dep.Paths.Keys); err != nil {
			return err
		}
	}
	a.verify, err = order.NewVerifier(order.Config{
		Robot: a.robot, BootID: bootUUID(a.boot), Nonce: a.nonce, Roots: roots, RequiredRoots: 1,
		KeyLists: lists, AllowDemo: a.opt.AllowDemo,
	}, a.store)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := a.verify.Fault(); err != nil {
		a.opt.Log.Error().Err(err).Msg("no key list is in force; only stops and a new key list are taken")
	}
	return nil
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

// openPolicy takes the policy out of its signed set. A set that this robot accepted before is in force already; a new
// one is used up here, durably, before it decides anything.
func (a *Agent) openPolicy(bundle []byte) (config.SignedPolicy, error) {
	now := times(a.clock.Civil(), a.trust.judge(a.clock.Sync(), a.clock.Boot(), a.clock.Civil()))
	v, err := a.verify.Verify(now, bundle)
	if err != nil {
		return config.SignedPolicy{}, fmt.Errorf("policy set: %w", err)
	}
	if v.Order.Kind != order.KindPolicySet {
		return config.SignedPolicy{}, fmt.Errorf("policy set: expected an order of kind %q, found %q", order.KindPolicySet, v.Order.Kind)
	}
	p, err := signedPolicy(v)
	if err != nil {
		return p, err
	}
	if err := a.store.Commit(now, v); err != nil {
		return p, fmt.Errorf("policy set: %w", err)
	}
	a.trust.floor = max(a.trust.floor, v.Order.NotBefore.UnixNano())
	return p, nil
}

func signedPolicy(v *order.Verified) (config.SignedPolicy, error) {
	set := v.Order.PolicySet
	p := config.SignedPolicy{YAML: set.Policy, Revision: int64(v.Order.Sequence)} //nolint:gosec // sequences end at 2^53
	var err error
	if p.Pins.Profile, err = config.ParseDigest("sha256:" + set.ProfileSHA256); err != nil {
		return p, fmt.Errorf("policy set: profile pin: %w", err)
	}
	if p.Pins.Topics, err = config.ParseDigest("sha256:" + set.TopicsSHA256); err != nil {
		return p, fmt.Errorf("policy set: topics pin: %w", err)
	}
	return p, nil
}

// heartbeats reads the endpoints' keys. A missing key is an error at start: a channel that can never prove itself would
// stop the robot later, when nobody remembers why.
func (a *Agent) heartbeats(dep *config.Deployment) ([]*guard.Heartbeat, error) {
	var out []*guard.Heartbeat
	for _, c := range a.cfg.Policy.Channels {
		key, err := heartbeatKey(dep, c.Endpoint)
		if err != nil {
			return nil, err
		}
		h, err := guard.NewHeartbeat(c.Endpoint, a.robot, a.boot, key)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

func heartbeatKey(dep *config.Deployment, endpoint string) ([]byte, error) {
	for _, k := range dep.HeartbeatKeys {
		if k.Endpoint != endpoint {
			continue
		}
		info, err := os.Stat(k.File)
		if err != nil {
			return nil, fmt.Errorf("heartbeat key of %q: %w", endpoint, err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("heartbeat key of %q: %s has mode %04o; expected 0600 or 0400: chmod 600 %s", endpoint, k.File, info.Mode().Perm(), k.File)
		}
		text, err := os.ReadFile(k.File)
		if err != nil {
			return nil, fmt.Errorf("heartbeat key of %q: %w", endpoint, err)
		}
		key, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("heartbeat key of %q: %s: expected hexadecimal digits: %w", endpoint, k.File, err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("channel %q has no key: add it to the deployment under heartbeat_keys", endpoint)
}

// loadOrder puts a verified and committed policy set or key list into force.
func (a *Agent) loadOrder(v *order.Verified) error {
	if v.Order.Kind == order.KindKeyList {
		next, err := a.verify.WithKeyList(v)
		if err != nil {
			return err
		}
		if err := a.state.storeKeyLists(next.Chain()); err != nil {
			return err
		}
		a.verify, a.orders.verifier = next, next
		return nil
	}
	p, err := signedPolicy(v)
	if err != nil {
		return err
	}
	cfg, err := config.WithPolicy(a.cfg, p)
	if err != nil {
		return err
	}
	params, err := guard.NewParams(cfg, a.cfg.Deployment.ROS.Node, a.trust.floor)
	if err != nil {
		return err
	}
	if err := a.storePolicy(cfg); err != nil {
		return err
	}
	if err := a.guard.Load(params, cfg.Digests.Policy); err != nil {
		return err
	}
	a.cfg, a.params = cfg, params
	return nil
}

// storePolicy keeps the policy by its content, where a replay finds it by the digest that the journal names.
func (a *Agent) storePolicy(cfg *config.Config) error {
	folder := filepath.Join(a.state.path, "documents")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("store documents: %w", err)
	}
	for digest, raw := range map[string][]byte{
		cfg.Digests.Policy.String(): cfg.Raw.Policy, cfg.Digests.Profile.String(): cfg.Raw.Profile, cfg.Digests.Topics.String(): cfg.Raw.Topics,
	} {
		path := filepath.Join(folder, strings.TrimPrefix(digest, "sha256:")+".yaml")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			return fmt.Errorf("store documents: %w", err)
		}
	}
	return nil
}

// Package e2e runs the real static guard against real peers on ROS 1 and DDS and judges it by ground truth; it never links the
// guard into the test.
package e2e

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// Robot figures that the profile states; the plants of the tests keep them.
const (
	robotID     = "acme/runner-1"
	decelMPS2   = 1.0
	maxSpeedMPS = 1.6
	sigmaM      = 0.01
	sigmaK      = 3.0
	mapErrorM   = 0.02
	detection   = 60 * time.Millisecond
	actuation   = 180 * time.Millisecond
)

// operatorKey is the key of the operator's heartbeats.
const operatorKey = "0123456789abcdef0123456789abcdef"

// contour is the robot's outline in metres.
var contour = oracle.Contour{oracle.Rectangle(-0.30, -0.20, 0.30, 0.20)}

// site is one deployment on disk: documents, keys, state and journal, all in a folder of the test's own.
type site struct {
	dir string
	bus bus.Bus
	// robot is the robot's id, fleet the ids of all robots that its key list is for.
	robot    string
	fleet    []string
	operator crypto.Signer
	engineer crypto.Signer
	verifier crypto.Signer
	consumer crypto.Signer
	releaser crypto.Signer
	// technician signs the records of proof tests.
	technician crypto.Signer
	// security handles incidents.
	security  crypto.Signer
	heartbeat []byte
	policy    string
	revision  uint64
	// role is the command that start runs.
	role string
}

// siteConfig says what differs from a large empty floor.
type siteConfig struct {
	// zones is YAML for the policy's zones list, two spaces deep.
	zones string
	// channels, triggers and more are YAML sections of the policy, or "".
	channels, more string
	// lock and services say whether the mapping has them.
	lock, services bool
	// gates is YAML for the mapping's gates, two spaces deep. With it the robot's last joint, joint_28, is an arm, and
	// the one before it a hand.
	gates string
	// operatorLink adds the operator's heartbeat.
	operatorLink bool
	// camera adds a camera with its stream and the service that closes it; recorder is its device file, which the steward looks
	// for where the profile names it. steward gives the deployment that role.
	camera, steward bool
	recorder        string
	// commandKeys are the names of commanders' keys, each in a file of its name.
	commandKeys []string
	// commandIn, commandOut and commandPublisher replace the gate's topics and the planner.
	commandIn, commandOut, commandPublisher string
	// commandKind is on whose behalf the planner commands, default autonomy; commandLimits are the policy's words about how well
	// its commands have to come in.
	commandKind, commandLimits string
	// journalMiB is the quota, default 64, segmentMiB one file of it, default 1.
	journalMiB, segmentMiB int
	// robot is the robot's id, default robotID. fleet are the robots that share one key list, whose keys are those of the site
	// keysOf, or new ones.
	robot  string
	fleet  []string
	keysOf *site
	// role is the command that starts the guard, default guard alone; run starts all roles.
	role string
	// stateDir and journalDir replace the folders, for disks that misbehave.
	stateDir, journalDir string
}

// blockedZone is YAML for one BLOCKED zone.
func blockedZone(id string, ring oracle.Ring) string { return zoneYAML(id, "BLOCKED", ring, "") }

func zoneYAML(id, kind string, ring oracle.Ring, extra string) string {
	var points []string
	for _, p := range ring {
		points = append(points, fmt.Sprintf("[%.3f, %.3f]", p.X, p.Y))
	}
	return fmt.Sprintf("  - {zone_id: %s, zone_type: %s, floor: ground, vertices: [%s], reason: made for a test%s}\n",
		id, kind, strings.Join(points, ", "), extra)
}

func newSite(t testing.TB, b bus.Bus, c siteConfig) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), bus: b, revision: 1, robot: cmp.Or(c.robot, robotID), fleet: c.fleet, role: cmp.Or(c.role, "guard")}
	if len(s.fleet) == 0 {
		s.fleet = []string{s.robot}
	}
	section, name := busYAML(b)
	s.heartbeat = []byte(operatorKey)
	s.write(t, "profile.yaml", profileYAML(c, name))
	s.write(t, "topics.yaml", topicsYAML(c))
	s.write(t, "operator.key", hex.EncodeToString(s.heartbeat)+"\n")
	s.keys(t, c.keysOf)
	s.policy = s.policyYAML(t, c)
	s.write(t, "policy.dsse.json", string(s.signPolicy(t, s.policy, s.revision)))
	state, journal, quota := c.stateDir, c.journalDir, c.journalMiB
	if state == "" {
		state = "state"
	}
	if journal == "" {
		journal = "journal"
	}
	if quota == 0 {
		quota = 64
	}
	heartbeat := ""
	if c.operatorLink {
		heartbeat = "heartbeat_keys:\n  - {endpoint: operator, file: operator.key}\n"
	}
	if len(c.commandKeys) > 0 {
		heartbeat += "command_keys:\n"
	}
	for _, k := range c.commandKeys {
		heartbeat += fmt.Sprintf("  - {key: %s, file: %s.key}\n", k, k)
	}
	s.write(t, "deployment.yaml", fmt.Sprintf(`kind: deployment
version: 1
serial: %s
%s
paths: {profile: profile.yaml, topics: topics.yaml, policy: policy.dsse.json, keys: keys, state_dir: %s, journal_dir: %s, control_socket: control.sock}
%sjournal: {quota_mib: %d, segment_mib: %d}
log: {level: info, format: json}
`, s.serial(), section, state, journal, heartbeat+stewardYAML(c), quota, max(c.segmentMiB, 1)))
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serial is the robot's id without its manufacturer.
func (s *site) serial() string { return strings.TrimPrefix(s.robot, "acme/") }

// keys makes a root, a safety engineer, an operator and who else signs, and the signed list that names them; or takes those of
// another robot of the fleet.
func (s *site) keys(t testing.TB, of *site) {
	t.Helper()
	if of != nil {
		s.engineer, s.operator, s.verifier, s.consumer, s.releaser, s.technician, s.security = of.engineer, of.operator, of.verifier, of.consumer, of.releaser, of.technician, of.security
		for _, name := range []string{"keys/roots.pem", "keys/keylist-1.dsse.json"} {
			s.write(t, name, string(must(os.ReadFile(of.path(name)))(t)))
		}
		return
	}
	root := newKey(t)
	s.engineer, s.operator, s.verifier, s.consumer = newKey(t), newKey(t), newKey(t), newKey(t)
	s.releaser, s.technician, s.security = newKey(t), newKey(t), newKey(t)
	entry := func(k crypto.Signer, person string, role order.Role) order.Key {
		return order.Key{
			ID: must(order.KeyID(k.Public()))(t), PEM: string(must(order.MarshalPublicKey(k.Public()))(t)), Person: person,
			Roles: []order.Role{role}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
		}
	}
	list := &order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: s.fleet, Sequence: 1,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "keys of a test",
		KeyList: &order.KeyList{Keys: []order.Key{
			entry(root, "root", order.RoleRoot), entry(s.engineer, "engineer", order.RoleSafetyEngineer), entry(s.operator, "operator", order.RoleOperator),
			entry(s.verifier, "verifier", order.RoleVerifier), entry(s.consumer, "consumer", order.RoleConsumer),
			entry(s.releaser, "releaser", order.RoleRelease),
			entry(s.technician, "tara", order.RoleTechnician), entry(s.security, "sara", order.RoleSecurity),
		}},
	}
	s.write(t, "keys/roots.pem", string(must(order.MarshalPublicKey(root.Public()))(t)))
	s.write(t, "keys/keylist-1.dsse.json", string(must(order.Sign(list, root))(t)))
}

func newKey(t testing.TB) crypto.Signer { return must(order.GenerateKey(order.Ed25519))(t) }

// must turns an error into the end of the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func hourAgo() time.Time { return time.Now().UTC().Truncate(time.Second).Add(-time.Hour) }

// signPolicy signs a policy: for any run, as the deployment has it, or for the run of the guard that a status shows.
func (s *site) signPolicy(t testing.TB, policy string, revision uint64, run ...agent.Status) []byte {
	t.Helper()
	var binding order.Binding
	for i := range run {
		binding = order.Binding{BootID: run[i].BootID, Nonce: run[i].Nonce}
	}
	return must(order.Sign(&order.Order{
		Kind: order.KindPolicySet, ID: order.NewID(), Audience: []string{s.robot}, Sequence: revision, Binding: binding,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "policy of a test",
		PolicySet: &order.PolicySet{
			Policy: []byte(policy), PolicySHA256: sum(policy),
			ProfileSHA256: s.digest(t, "profile.yaml"), TopicsSHA256: s.digest(t, "topics.yaml"),
		},
	}, s.engineer))(t)
}

func sum(text string) string { d := sha256.Sum256([]byte(text)); return hex.EncodeToString(d[:]) }

func (s *site) digest(t testing.TB, name string) string {
	t.Helper()
	return sum(string(must(os.ReadFile(s.path(name)))(t)))
}

// stopOrder and resetOrder are what an operator would sign.
func (s *site) stopOrder(t testing.TB) []byte {
	t.Helper()
	return must(order.Sign(&order.Order{
		Kind: order.KindStop, ID: order.NewID(), Audience: []string{s.robot}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(2 * time.Hour),
		Reason: "stop of a test", Stop: &order.Stop{Category: 2},
	}, s.operator))(t)
}

func (s *site) resetOrder(t testing.TB, st agent.Status, key crypto.Signer) []byte {
	t.Helper()
	return must(order.Sign(&order.Order{
		Kind: order.KindReset, ID: order.NewID(), Audience: []string{s.robot}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(2 * time.Hour),
		Reason: "reset of a test", Binding: order.Binding{BootID: st.BootID, Nonce: st.Nonce}, Reset: &order.Reset{All: true},
	}, key))(t)
}

// guard is a running robowarden.
type guard struct {
	*proc.Process
	site *site
}

var built struct {
	sync.Once
	path string
	err  error
}

// binary builds the product once, static as it ships.
func binary(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		built.path = filepath.Join(cpp.Root(), "build", "robowarden")
		cmd := exec.Command("go", "build", "-trimpath", "-o", built.path, "./agent/cmd/robowarden")
		cmd.Dir = filepath.Join(cpp.Root(), "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// start starts the guard without waiting for anything but its process.
func (s *site) start(t testing.TB) *guard { return s.startIn(t, nil) }

// startIn starts the guard in a control group of its own.
func (s *site) startIn(t testing.TB, cg *proc.Cgroup) *guard {
	t.Helper()
	spec := proc.Spec{Name: "robowarden", Argv: []string{binary(t), s.role, "--deployment", s.path("deployment.yaml")}, Cgroup: cg}
	g := &guard{Process: s.bus.Node(t, spec), site: s}
	t.Cleanup(func() {
		if t.Failed() {
			g.decisions(t)
		}
	})
	return g
}

// decisions prints what the guard decided, for a test that failed.
func (g *guard) decisions(t testing.TB) {
	t.Helper()
	if out, err := exec.Command(binary(t), "journal", "cat", g.site.path("journal")).CombinedOutput(); err == nil || len(out) > 0 {
		t.Logf("journal:\n%s", tail(string(out), 6000))
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// status reads the guard's status; ok is false while it does not answer.
func (g *guard) status() (s agent.Status, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	raw, err := agent.ReadStatus(ctx, g.site.path("control.sock"))
	if err != nil {
		return s, false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// await polls the status until it is as wanted, and fails the test with the last one if it does not get so.
func (g *guard) await(t testing.TB, what string, within time.Duration, want func(agent.Status) bool) agent.Status {
	t.Helper()
	deadline := time.Now().Add(within)
	var last agent.Status
	for time.Now().Before(deadline) && g.Running() {
		if s, ok := g.status(); ok {
			if last = s; want(s) {
				return s
			}
		}
		time.Sleep(20 * time.Millisecond) // The pause of a poll, not a wait for an effect.
	}
	text, _ := json.MarshalIndent(last, "", " ")
	t.Fatalf("within %v: expected %s; last status:\n%s", within, what, text)
	return last
}

// run is what the guard's status says of the run, as whoever signs an order reads it.
func (g *guard) run(t testing.TB) agent.Status {
	t.Helper()
	st, ok := g.status()
	if !ok {
		t.Fatal("no status")
	}
	return st
}

// ready waits until the guard lets the robot move.
func (g *guard) ready(t testing.TB) {
	t.Helper()
	g.await(t, "an open guard", 40*time.Second, func(s agent.Status) bool {
		return s.Axes.Motion == "free" || s.Axes.Motion == "limited"
	})
}

// order sends a signed order over the control socket.
func (g *guard) order(t testing.TB, envelope []byte) agent.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return must(agent.SendOrder(ctx, g.site.path("control.sock"), envelope))(t)
}

// has says whether a trigger is active.
func has(s agent.Status, code string) bool {
	for _, t := range s.Triggers {
		if t.Code == code {
			return true
		}
	}
	return false
}

// standsUnheld waits until the robot has stood for longer than a released planner needs to move it, while nothing but the
// geofence restricted it: a hold for another reason (a busy machine that starves the plant) must not be taken for the
// stop before an edge.
func (g *guard) standsUnheld(t testing.TB, p *plant.Plant, within time.Duration) {
	t.Helper()
	const enough = 1500 * time.Millisecond
	var since time.Time
	until(t, within, "a robot that stands although nothing holds it", func() bool {
		st, ok := g.status()
		if !ok || st.Axes.Motion != "free" && st.Axes.Motion != "limited" || !still(p.Truth(t).Samples) {
			since = time.Time{}
			return false
		}
		if since.IsZero() {
			since = time.Now()
		}
		return time.Since(since) >= enough
	})
}

package machine

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/machine/wire"
	"github.com/robowarden/robowarden/test/oracle"
)

// What the robot's profile states; the plant keeps it.
const (
	robotID     = "acme/runner-arm"
	decelMPS2   = 1.0
	maxSpeedMPS = 1.2
	// staticMarginM is kept even at standstill: three sigma of the pose, and the map's error.
	staticMarginM = 3*0.01 + 0.02
	// detection is far more than a robot computer needs: the emulated one shares its host with others.
	detection = 250 * time.Millisecond
	actuation = 180 * time.Millisecond
)

// contour is the robot's outline in metres.
var contour = oracle.Contour{oracle.Rectangle(-0.30, -0.20, 0.30, 0.20)}

// zoneCount is what DESIGN's figures of memory are for.
const zoneCount = 1000

// site is what the machine finds on its disk, and the keys to it.
type site struct {
	dir                string
	operator, engineer crypto.Signer
	policyText         string
}

const profile = `kind: robot-profile
version: 1
id: runner-arm
manufacturer: acme
bus: ros1
gate: [velocity]
body:
  base_frame: base_link
  height_m: 1.0
  footprint: [[0.30, 0.20], [-0.30, 0.20], [-0.30, -0.20], [0.30, -0.20]]
motion:
  max_speed_mps: %g
  max_yaw_rate_radps: 1.5
  accel_mps2: 1.2
  decel_mps2: %g
  angular_decel_radps2: 2.0
  reaction: {detection: %v, actuation: %v}
  creep_mps: 0.1
  creep_yaw_rate_radps: 0.2
  base_command_timeout: 500ms
  standstill:
    speed_mps: 0.03
    yaw_rate_radps: 0.05
    dwell: 300ms
    imu: {gyro_radps: 0.12}
    joints: {groups: [leg], velocity: 0.15}
pose:
  max_age: 600ms
  max_future: 50ms
  slow_stddev_m: 0.10
  min_stddev_m: 0.005
  max_stddev_m: 0.20
  sigma_k: 3
  map_error_m: 0.02
  freeze_after: 1s
  jump_slack_m: 0.40
  jump_slack_rad: 0.40
  recover_poses: 10
  recover_dwell: 1s
  release_margin_m: 0.05
  release_dwell: 1s
joints:
  max_age: 600ms
  list:
%srest: {kind: park, balance_elsewhere: true}
stop_ladder:
  - {name: zeros, kind: zero-velocity, without_ros: false, stop_category: 2}
  - {name: lock, kind: lock, without_ros: true, stop_category: 2}
commissioning: {enabled: false, reason: nobody drives this robot}
required_inputs: [pose, floor, odometry, joints, imu, graph]
`

const topics = `kind: topic-mapping
version: 1
id: runner-arm-topics
pose: {topic: /odom, type: nav_msgs/Odometry, frame: map, publishers: [/plant]}
floor: {fixed: ground}
odometry: {topic: /odom, type: nav_msgs/Odometry, frame: map, publishers: [/plant]}
joints: {topic: /joint_states, publishers: [/plant]}
imu: {topic: /imu/data, frame: base_link, publishers: [/plant]}
commands:
  - {channel: autonomy, kind: autonomy, topic: /cmd_vel_raw, type: geometry_msgs/Twist, publishers: [/planner], deadline: 600ms}
command_out: {topic: /cmd_vel, type: geometry_msgs/Twist, consumer: /plant}
lock: {topic: /robowarden/lock, consumer: /plant, timeout: 500ms}
orders: {topic: /robowarden/orders}
diagnostics: /diagnostics
`

// newSite writes the documents of a robot that must keep out of the zone, among many other zones far away.
func newSite(t testing.TB, m *ros.Master, st *station, zone oracle.Ring) *site {
	t.Helper()
	return newSiteWith(t, m, st, zone, func(profile string) string { return profile })
}

// newSiteWith is newSite with a profile that differs; without a station there is only the guard.
func newSiteWith(t testing.TB, m *ros.Master, st *station, zone oracle.Ring, change func(profile string) string) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	var joints strings.Builder
	for i := range 29 {
		fmt.Fprintf(&joints, "    - {name: joint_%02d, group: leg, min: -3.2, max: 3.2, max_velocity: 30}\n", i)
	}
	s.write(t, "profile.yaml", change(fmt.Sprintf(profile, maxSpeedMPS, decelMPS2, detection, actuation, joints.String())))
	s.write(t, "topics.yaml", topics)
	s.keys(t, st)
	s.write(t, "policy.dsse.json", string(s.policy(t, zone)))
	s.write(t, "deployment.yaml", fmt.Sprintf(`kind: deployment
version: 1
serial: runner-arm
ros: {master_uri: %q, host: %s, node: /robowarden}
paths: {profile: profile.yaml, topics: topics.yaml, policy: policy.dsse.json, keys: keys, state_dir: state, journal_dir: journal, control_socket: %s}
journal: {quota_mib: 32, segment_mib: 1, sync_every: 1s}
log: {level: info, format: json}
%s`, m.URI(), wire.Guest, controlSocket, st.courierYAML(t, s)))
	return s
}

// rest is the policy's end. The guard of a busy host is late now and then, and says so rightly; here that makes the robot
// slow, as far as a policy may loosen it, and not hold it.
const rest = `robots:
  - {serial: runner-arm, roles: []}
triggers:
  - {code: loop.overrun, constraint: {motion: limited, max_speed_mps: 0.3}, start_delay: 1s}
flap: {trips: 8, window: 1s, merge: 1s}
stop_category: 2
startup: {release: inputs, input_timeout: 60s}
`

// controlSocket is where the guard listens in the machine.
const controlSocket = "/run/control.sock"

func (s *site) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// keys makes a root, a safety engineer and an operator, and the signed list that names them and the station's keys.
func (s *site) keys(t testing.TB, st *station) {
	t.Helper()
	root := newKey(t)
	s.engineer, s.operator = newKey(t), newKey(t)
	entry := func(k crypto.Signer, person string, roles ...order.Role) order.Key {
		return order.Key{
			ID: must(order.KeyID(k.Public()))(t), PEM: string(must(order.MarshalPublicKey(k.Public()))(t)), Person: person,
			Roles: roles, NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
		}
	}
	s.write(t, "keys/roots.pem", string(must(order.MarshalPublicKey(root.Public()))(t)))
	s.write(t, "keys/keylist-1.dsse.json", string(must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robotID}, Sequence: 1,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "keys of a test",
		KeyList: &order.KeyList{Keys: append([]order.Key{
			entry(root, "root", order.RoleRoot), entry(s.engineer, "engineer", order.RoleSafetyEngineer), entry(s.operator, "operator", order.RoleOperator, order.RoleSupervisor),
		}, st.keys(entry)...)},
	}, root))(t)))
}

// policy is the signed policy set: one zone that matters and many that cost time and memory.
func (s *site) policy(t testing.TB, zone oracle.Ring) []byte {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `kind: policy
version: 1
id: test-machine
revision: 1
pins: {profile: "sha256:%s", topics: "sha256:%s"}
site: a test
timezone: Europe/Berlin
floors:
  - {id: ground, name: Ground floor, unbounded: a test floor without walls}
zones:
`, s.digest(t, "profile.yaml"), s.digest(t, "topics.yaml"))
	writeZone := func(id string, ring oracle.Ring) {
		fmt.Fprintf(&b, "  - {zone_id: %s, zone_type: BLOCKED, floor: ground, vertices: [", id)
		for i, p := range ring {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "[%.3f, %.3f]", p.X, p.Y)
		}
		b.WriteString("], reason: made for a test}\n")
	}
	writeZone("pharmacy", zone)
	for i := 1; i < zoneCount; i++ {
		x, y := 20+float64(i%32)*3, 20+float64(i/32)*3
		writeZone(fmt.Sprintf("room-%03d", i), oracle.Rectangle(x, y, x+2, y+2))
	}
	b.WriteString(rest)
	text := b.String()
	s.policyText = text
	return must(order.Sign(&order.Order{
		Kind: order.KindPolicySet, ID: order.NewID(), Audience: []string{robotID}, Sequence: 1,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "policy of a test",
		PolicySet: &order.PolicySet{
			Policy: []byte(text), PolicySHA256: sum(text),
			ProfileSHA256: s.digest(t, "profile.yaml"), TopicsSHA256: s.digest(t, "topics.yaml"),
		},
	}, s.engineer))(t)
}

// stopOrder and resetOrder are what an operator would sign.
func (s *site) stopOrder(t testing.TB) []byte {
	t.Helper()
	return must(order.Sign(&order.Order{
		Kind: order.KindStop, ID: order.NewID(), Audience: []string{robotID}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(2 * time.Hour),
		Reason: "stop of a test", Stop: &order.Stop{Category: 2},
	}, s.operator))(t)
}

func (s *site) resetOrder(t testing.TB, st *agent.Status) []byte {
	t.Helper()
	return must(order.Sign(&order.Order{
		Kind: order.KindReset, ID: order.NewID(), Audience: []string{robotID}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(2 * time.Hour),
		Reason: "reset of a test", Binding: order.Binding{BootID: st.BootID, Nonce: st.Nonce}, Reset: &order.Reset{All: true},
	}, s.operator))(t)
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

func sum(text string) string { d := sha256.Sum256([]byte(text)); return hex.EncodeToString(d[:]) }

func (s *site) digest(t testing.TB, name string) string {
	t.Helper()
	return sum(string(must(os.ReadFile(filepath.Join(s.dir, name)))(t)))
}

package units

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/configs"
)

// robotID is the robot of the small example.
const robotID = "robowarden-example/diff-01"

// writeSite writes what an operator would put into /etc/robowarden: the example's documents, signed, with the deployment
// that the package's skeleton is for.
func writeSite(t testing.TB, dir string) {
	t.Helper()
	write := func(name string, content []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	document := func(name string) []byte {
		b, err := configs.FS().Open(configs.DiffDrive + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close() //nolint:errcheck // embedded
		text := new(strings.Builder)
		if _, err := copyAll(text, b); err != nil {
			t.Fatal(err)
		}
		return []byte(text.String())
	}
	profile, topics, policy := document("profile.yaml"), document("topics.yaml"), document("policy.yaml")
	// The machine is slow beyond measure: a publisher may be silent for long before it is given up.
	const quick, slow = "deadline: 5s}", "deadline: 1m}"
	if !strings.Contains(string(topics), quick) {
		t.Fatalf("the example's topics have no %q", quick)
	}
	topics = []byte(strings.Replace(string(topics), quick, slow, 1))
	policy = []byte(strings.ReplaceAll(string(policy), sum(document("topics.yaml")), sum(topics)))
	write("profile.yaml", profile)
	write("topics.yaml", topics)
	root, engineer := newKey(t), newKey(t)
	write("keys/roots.pem", must(order.MarshalPublicKey(root.Public()))(t))
	write("keys/keylist-1.dsse.json", must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robotID}, Sequence: 1,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "keys of a test",
		KeyList: &order.KeyList{Keys: []order.Key{key(t, root, "root", order.RoleRoot), key(t, engineer, "engineer", order.RoleSafetyEngineer)}},
	}, root))(t))
	write("policy.bundle", must(order.Sign(&order.Order{
		Kind: order.KindPolicySet, ID: order.NewID(), Audience: []string{robotID}, Sequence: 1,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "policy of a test",
		PolicySet: &order.PolicySet{Policy: policy, PolicySHA256: sum(policy), ProfileSHA256: sum(profile), TopicsSHA256: sum(topics)},
	}, engineer))(t))
	write("credentials/guard/operator.key", []byte(strings.Repeat("ab", 32)+"\n"))
	write("deployment.yaml", deployment(t))
	writeCertificates(t, write)
}

// deployment is the package's skeleton, made this robot's.
func deployment(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../../configs/systemd/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for from, to := range map[string]string{
		"serial: robot-0001":  "serial: diff-01",
		"# heartbeat_keys:":   "heartbeat_keys:",
		"#   - {endpoint":     "  - {endpoint",
		"broker.example:8883": "127.0.0.1:8883",
		"quota_mib: 512":      "quota_mib: 32",
		"segment_mib: 8":      "segment_mib: 1",
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("the skeleton has no %q", from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	return []byte(text)
}

func key(t testing.TB, k crypto.Signer, person string, role order.Role) order.Key {
	t.Helper()
	return order.Key{
		ID: must(order.KeyID(k.Public()))(t), PEM: string(must(order.MarshalPublicKey(k.Public()))(t)), Person: person,
		Roles: []order.Role{role}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
	}
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

func sum(b []byte) string { d := sha256.Sum256(b); return hex.EncodeToString(d[:]) }

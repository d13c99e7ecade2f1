//go:build qualify

package scale

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/gobin"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// natsServer is the package of NATS's server; go.mod pins its version as a tool.
const natsServer = "github.com/nats-io/nats-server/v2"

// node is one server of a cluster.
type node struct {
	process             *proc.Process
	client, mqtt, route int
}

// cluster is three NATS servers with MQTT listeners, TLS 1.3 and client certificates, each robot only its own topics.
type cluster struct {
	authority *broker.Authority
	nodes     [3]*node
}

// startCluster starts the servers and waits until every one of them takes MQTT clients in. Each subscription that is kept is a
// consumer, of which a server has at most 1000 by default. Sessions and retained messages wait for a leader while one is
// chosen, up to 10 s: by default a server hangs up on all that wait for 5 s.
func startCluster(t testing.TB, s *site) *cluster {
	t.Helper()
	c := &cluster{authority: broker.NewAuthority(t)}
	server := c.authority.Client(t, "localhost")
	dir := t.TempDir()
	users := natsUsers(s)
	var routes []string
	for i := range c.nodes {
		c.nodes[i] = &node{client: broker.FreePort(t), mqtt: broker.FreePort(t), route: broker.FreePort(t)}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", c.nodes[i].route))
	}
	secure := fmt.Sprintf("{cert_file: %q, key_file: %q, ca_file: %q, verify_and_map: true, min_version: \"1.3\", timeout: 60}", server.Certificate, server.Key, server.CA)
	for i, n := range c.nodes {
		file := filepath.Join(dir, fmt.Sprintf("node-%d.conf", i))
		text := fmt.Sprintf(`server_name: "node-%[1]d"
listen: "127.0.0.1:%[2]d"
max_payload: 2MB
tls: %[3]s
jetstream: {store_dir: %[4]q, max_memory_store: 64MB, max_file_store: 1GB, limits: {default_max_consumers: -1}}
cluster: {name: "site", listen: "127.0.0.1:%[5]d", routes: [%[6]s]}
mqtt: {listen: "127.0.0.1:%[7]d", tls: %[3]s, js_api_timeout: "20s"}
authorization: {timeout: 60, users: [
%[8]s]}
`, i, n.client, secure, filepath.Join(dir, fmt.Sprintf("store-%d", i)), n.route, `"`+strings.Join(routes, `", "`)+`"`, n.mqtt, users)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n.process = proc.StartT(t, proc.Spec{Name: fmt.Sprintf("node-%d", i), Argv: []string{gobin.Build(t, natsServer), "-c", file}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, n := range c.nodes {
		if _, err := n.process.WaitOutput(ctx, "Server is ready"); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the cluster has chosen who leads it", func() bool {
		for _, n := range c.nodes {
			if said(n.process, "JetStream cluster new metadata leader") {
				return true
			}
		}
		return false
	})
	return c
}

// natsUsers are who may do what, by the subject of their certificates.
func natsUsers(s *site) string {
	var out strings.Builder
	subject := strings.NewReplacer("/", ".", ".", "//")
	for _, id := range s.ids() {
		base := subject.Replace(prefix + "/v1/" + id + "/attestation/")
		fmt.Fprintf(&out, "{user: \"CN=%[1]s\", permissions: {publish: [\"%[2]shello\", \"%[2]sevidence\", \"%[2]slog\"], subscribe: [",
			broker.CommonName(id), base)
		for topic := range listens(id) {
			fmt.Fprintf(&out, "%q, ", subject.Replace(topic))
		}
		fmt.Fprint(&out, "\"$MQTT.sub.>\"]}}\n")
	}
	all := subject.Replace(prefix+"/v1") + ".*.*.attestation."
	fmt.Fprintf(&out, "{user: \"CN=verifier\", permissions: {publish: [\"%[1]schallenge\", \"%[1]sresult\"], subscribe: [\"%[1]shello\", \"%[1]sevidence\", \"%[1]slog\"]}}\n", all)
	fmt.Fprintf(&out, "{user: \"CN=eye\", permissions: {publish: [\">\"], subscribe: [\">\"]}}\n")
	return out.String()
}

// mqttURLs and natsURLs are the nodes' addresses.
func (c *cluster) mqttURLs() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, fmt.Sprintf("tls://127.0.0.1:%d", n.mqtt))
	}
	return out
}

func (c *cluster) natsURLs() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, fmt.Sprintf("tls://127.0.0.1:%d", n.client))
	}
	return out
}

// verifier starts a verifier that is one of a queue group. Each knows all nodes, beginning with another one.
func (c *cluster) verifier(s *site, name string, first int) *proc.Process {
	s.t.Helper()
	from := func(list []string) string {
		return strings.Join(append(append([]string{}, list[first:]...), list[:first]...), ",")
	}
	return s.verifier(name, c.authority.Client(s.t, "verifier"), "--broker", from(c.mqttURLs()), "--nats", from(c.natsURLs()), "--share", "hospital")
}

// TestAQueueGroupOfACluster has two verifiers serve robots on a cluster's MQTT listeners, kills one verifier and one node in
// the middle, and sends what is no message over NATS: every robot has its result.
func TestAQueueGroupOfACluster(t *testing.T) {
	t.Parallel()
	s := newSite(t, 24)
	c := startCluster(t, s)
	ada, bea := c.verifier(s, "ada", 0), c.verifier(s, "bea", 1)
	s.connect(c.authority, c.mqttURLs()...)
	r := s.attest(5*time.Second, 3*time.Minute, 0, nil)
	s.complete("two verifiers", r)
	if r.by["ada"] == 0 || r.by["bea"] == 0 {
		t.Errorf("results by %v: expected both verifiers'", r.by)
	}
	malformedSubjects(t, c)
	r = s.attest(5*time.Second, 5*time.Minute, len(s.robots)/4, func() {
		ada.Kill()
		c.nodes[0].process.Kill()
	})
	s.complete("one verifier and one node killed", r)
	t.Logf("figures: after the kill results by %v, asked again %d times", r.by, r.again)
	if !bea.Running() {
		t.Error("the verifier has ended")
	}
}

// malformedSubjects publishes by NATS's own protocol what no MQTT client could: subjects that are no topic of ours, and
// payloads that are no message.
func malformedSubjects(t *testing.T, c *cluster) {
	t.Helper()
	conn := must(dialNATS(c.natsURLs()[1], c.authority.Client(t, "eye").TLS))(t)
	defer func() { _ = conn.Close() }()
	base := strings.NewReplacer("/", ".", ".", "//").Replace(prefix + "/v1/")
	for _, subject := range []string{"a.b", "a./b", "/a./", "a+.b#", "acme.runner-0000//1", strings.Repeat("x", 200) + ".y", "a.b/c"} {
		for _, kind := range []string{"hello", "evidence", "log"} {
			for _, payload := range []string{"", "{}", "null", strings.Repeat("[", 5000), "\x00\xff"} {
				fmt.Fprintf(conn, "PUB %s%s.attestation.%s %d\r\n%s\r\n", base, subject, kind, len(payload), payload)
			}
		}
	}
	fmt.Fprint(conn, "PING\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	var got strings.Builder
	for buf := make([]byte, 4096); !strings.Contains(got.String(), "PONG"); {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("the node did not take it: %v\n%s", err, got.String())
		}
		got.Write(buf[:n])
	}
	if strings.Contains(got.String(), "-ERR") {
		t.Errorf("the node says %s", got.String())
	}
}

// dialNATS speaks the first words of NATS's protocol: the server's, in the clear, and then TLS.
func dialNATS(address string, config *tls.Config) (*tls.Conn, error) {
	raw, err := netDialer.Dial("tcp", strings.TrimPrefix(address, "tls://"))
	if err != nil {
		return nil, err
	}
	_ = raw.SetReadDeadline(time.Now().Add(time.Minute))
	for b := make([]byte, 1); b[0] != '\n'; { // INFO {…}
		if _, err := raw.Read(b); err != nil {
			raw.Close()
			return nil, err
		}
	}
	conn := tls.Client(raw, config)
	if err := conn.Handshake(); err != nil {
		raw.Close()
		return nil, err
	}
	_, err = fmt.Fprint(conn, "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true}\r\n")
	return conn, err
}

package attest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// serving are the flags of verifier.
type serving struct {
	dir, key, broker, prefix, ca, certificate, certificateKey, clientID, nonceKey, share, nats string
	resultLife, challengeLife                                                                  time.Duration
}

// NewVerifier returns the subcommand that challenges robots and signs what it concludes, with its own subcommands.
func NewVerifier() *cobra.Command {
	var s serving
	cmd := answer.Quiet(&cobra.Command{
		Use:   "verifier",
		Short: "Challenge robots over MQTT, appraise their evidence, sign the results",
		Long: `Verifier serves every robot that is enrolled in its folder: it answers a robot's hello with a signed challenge, appraises the
evidence, and signs a result that the robot's guard checks by itself. The broker is not believed; it may lose, repeat and
reorder. One verifier serves a folder at a time, or those that --share a group: robots' messages are divided among them, and any of
them judges answers to another's challenges.

What nobody can tell to be the robot's own answer is refused without a signed result, and logged: a signed refusal restricts
the robot, so a stranger must not be able to cause one.`,
		Example: `  robowarden-station verifier --state-dir /var/lib/robowarden-verifier --key verifier.key --broker tls://broker.example:8883 \
      --prefix hospital/robots --ca broker-ca.pem --certificate verifier.pem --certificate-key verifier-tls.key --share hospital`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return s.run(ctx, zerolog.New(cmd.ErrOrStderr()).With().Timestamp().Logger())
		},
	})
	cmd.PersistentFlags().StringVar(&s.dir, "state-dir", "", "the verifier's folder")
	cmd.AddCommand(newLearn(&s.dir), newApprove(&s.dir), newExplain(&s.dir), newDiff(&s.dir), newLog())
	f := cmd.Flags()
	f.StringVar(&s.key, "key", "", "the private key that signs challenges and results; the key list gives it the role verifier")
	f.StringVar(&s.broker, "broker", "", "the MQTT broker, tls://host:port, or nodes of one with commas between them; TLS 1.3 with a client certificate is spoken, and nothing else")
	f.StringVar(&s.prefix, "prefix", "", "the first level or levels of every topic")
	f.StringVar(&s.ca, "ca", "", "PEM certificates of who may vouch for the broker")
	f.StringVar(&s.certificate, "certificate", "", "the verifier's certificate chain for the broker, PEM")
	f.StringVar(&s.certificateKey, "certificate-key", "", "the certificate's private key, PEM")
	f.StringVar(&s.clientID, "client-id", "robowarden-verifier", "the MQTT client identifier; in a group a number that is drawn is added to it")
	f.StringVar(&s.nonceKey, "nonce-key", "", "a file with the keys for challenges' nonces, 64 hexadecimal digits a line: the first makes them, the others still count; nonce.key in the folder without, made where it is missing")
	f.StringVar(&s.share, "share", "", "the group of verifiers that divide the robots' messages among them and serve one folder; the broker's shared subscription, $share/GROUP/…")
	f.StringVar(&s.nats, "nats", "", "nodes of a NATS cluster, tls://host:port with commas between them, whose MQTT listener is --broker: it has no shared subscriptions, so the group is a queue group of NATS")
	f.DurationVar(&s.resultLife, "result-life", time.Hour, "how long a result counts; robots ask for the next one before")
	f.DurationVar(&s.challengeLife, "challenge-life", time.Minute, "how long a challenge waits for its answer")
	cmd.AddCommand(newEnrol(&s.dir), newReference(&s.dir), newRevoke(&s.dir), newKeyList(&s.dir), newRotate(&s.dir))
	return cmd
}

// run serves until ctx ends.
func (s *serving) run(ctx context.Context, log zerolog.Logger) error {
	for _, f := range []struct{ name, value string }{
		{"--key", s.key}, {"--broker", s.broker}, {"--prefix", s.prefix}, {"--ca", s.ca}, {"--certificate", s.certificate}, {"--certificate-key", s.certificateKey},
	} {
		if f.value == "" {
			return answer.Usage("%s is missing", f.name)
		}
	}
	brokers, err := addresses(s.broker)
	if err != nil {
		return answer.Usage("--broker: %w", err)
	}
	if s.share != "" && !isGroup(s.share) {
		return answer.Usage("--share: found %q: expected 1 to 64 of A-Z, a-z, 0-9 and \"._-\"", s.share)
	}
	if s.nats != "" && s.share == "" {
		return answer.Usage("--nats is for a group of verifiers: --share is missing")
	}
	store, err := openStore(s.dir)
	if err != nil {
		return err
	}
	unlock, err := lock(s.dir, s.share != "")
	if err != nil {
		return err
	}
	defer unlock()
	v, keys, err := s.prepare(store, log)
	if err != nil {
		return err
	}
	config, err := s.tls()
	if err != nil {
		return err
	}
	server := newServer(v, s.prefix, keys, log)
	server.grouped = s.share != ""
	out := newLink(ctx, brokers, s.ownID(), config, server.in, log)
	from, end, err := s.source(out, config, server.in, log)
	if err != nil {
		return err
	}
	defer end()
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		out.dial(ctx)
	}()
	server.serve(ctx, out, from)
	<-dialled
	out.client.Disconnect(250)
	return nil
}

// addresses reads one or several addresses.
func addresses(list string) ([]*url.URL, error) {
	var out []*url.URL
	for s := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "tls" || u.Port() == "" || u.Hostname() == "" || u.User != nil {
			return nil, fmt.Errorf("found %q: expected tls://host:port", s)
		}
		out = append(out, u)
	}
	return out, nil
}

// source is where messages come from: the broker to which answers go, or a queue group of the cluster that it belongs to.
func (s *serving) source(out *link, config *tls.Config, in *inbox, log zerolog.Logger) (from source, end func(), err error) {
	if s.nats == "" {
		out.filters = filters(s.share, s.prefix)
		return out, func() {}, nil
	}
	servers, err := addresses(s.nats)
	if err != nil {
		return nil, nil, answer.Usage("--nats: %w", err)
	}
	q, err := newQueue(servers, s.share, s.prefix, config, in, log)
	if err != nil {
		return nil, nil, err
	}
	return q, q.conn.Close, nil
}

// isGroup says whether a name can be a level of a topic and a word of a subject.
func isGroup(s string) bool {
	return len(s) <= 64 && s != "" && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	}) < 0
}

// filters are what a verifier subscribes to: for a group the broker gives each message to one of those who have
// subscribed by its name.
func filters(group, prefix string) map[string]byte {
	out := map[string]byte{}
	for _, t := range fromRobots(prefix) {
		if group != "" {
			t = "$share/" + group + "/" + t
		}
		out[t] = quality
	}
	return out
}

// ownID is the client identifier: of two clients with the same one, a broker ends the first.
func (s *serving) ownID() string {
	if s.share == "" {
		return s.clientID
	}
	return s.clientID + "-" + order.NewID()[:12]
}

// prepare makes the verifier of a folder that is locked.
func (s *serving) prepare(store *verifier.DirStore, log zerolog.Logger) (*verifier.Verifier, *nonceKeys, error) {
	store.OnReferences(func(name, sum string) {
		log.Info().Str("name", name).Str("sha256", sum).Msg("reference values in force")
	})
	key, err := readSigner(s.key)
	if err != nil {
		return nil, nil, err
	}
	keys, nonces, err := openNonceKeys(s.nonceKey, s.dir)
	if err != nil {
		return nil, nil, err
	}
	if err := noteNonceKey(s.dir, s.nonceKey); err != nil {
		return nil, nil, err
	}
	v, err := verifier.New(verifier.Config{
		Key: key, ResultLife: s.resultLife, ChallengeLife: s.challengeLife, Random: rand.Reader, Shared: s.share != "",
	}, store)
	if err != nil {
		return nil, nil, err
	}
	return v, keys, v.SetNonceKeys(nonces...)
}

// writeOwn writes a file that nobody else can read, whole or not at all.
func writeOwn(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // Mode 0600.
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// lock keeps others off the folder: two verifiers that are no group would not know of each other's challenges. Those of a
// group keep off who is none of them.
func lock(dir string, shared bool) (unlock func(), err error) {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	if unlock, err = flock(filepath.Join(dir, "lock"), how); err != nil {
		return nil, fmt.Errorf("%s: another verifier serves this folder, and not both have --share (%w)", dir, err)
	}
	return unlock, nil
}

// flock locks a file, which it makes where it is missing, and waits for nobody.
func flock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in the verifier's folder
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// readSigner reads a private key that nobody else on this machine can read.
func readSigner(path string) (crypto.Signer, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	key, err := order.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so others may have read it: expected 0600; make a new key, or chmod 600 if nobody else uses this machine", path, mode)
	}
	return readFile(path, maxFile)
}

// tls is for every broker and node: who dials fills in the name that it expects.
func (s *serving) tls() (*tls.Config, error) {
	pem, err := readFile(s.ca, maxFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", s.ca)
	}
	chain, err := readFile(s.certificate, maxFile)
	if err != nil {
		return nil, err
	}
	key, err := readPrivate(s.certificateKey)
	if err != nil {
		return nil, err
	}
	own, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", s.certificate, s.certificateKey, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{own}}, nil
}

package attest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// serving are the flags of verifier.
type serving struct {
	dir, key, broker, prefix, ca, certificate, certificateKey, clientID, nonceKey string
	resultLife, challengeLife                                                     time.Duration
}

// NewVerifier returns the subcommand that challenges robots and signs what it concludes, with its own subcommands.
func NewVerifier() *cobra.Command {
	var s serving
	cmd := quiet(&cobra.Command{
		Use:   "verifier",
		Short: "Challenge robots over MQTT, appraise their evidence, sign the results",
		Long: `Verifier serves every robot that is enrolled in its folder: it answers a robot's hello with a signed challenge, appraises the
evidence, and signs a result that the robot's guard checks by itself. The broker is not believed; it may lose, repeat and
reorder. One verifier may serve a folder at a time.

What nobody can tell to be the robot's own answer is refused without a signed result, and logged: a signed refusal restricts
the robot, so a stranger must not be able to cause one.`,
		Example: `  robowarden-station verifier --state-dir /var/lib/robowarden-verifier --key verifier.key --broker tls://broker.example:8883 \
      --prefix hospital/robots --ca broker-ca.pem --certificate verifier.pem --certificate-key verifier-tls.key`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return s.run(ctx, zerolog.New(cmd.ErrOrStderr()).With().Timestamp().Logger())
		},
	})
	cmd.PersistentFlags().StringVar(&s.dir, "state-dir", "", "the verifier's folder")
	cmd.AddCommand(newLearn(&s.dir), newExplain(&s.dir), newDiff(&s.dir), newLog())
	f := cmd.Flags()
	f.StringVar(&s.key, "key", "", "the private key that signs challenges and results; the key list gives it the role verifier")
	f.StringVar(&s.broker, "broker", "", "the MQTT broker, tls://host:port; TLS 1.3 with a client certificate is spoken, and nothing else")
	f.StringVar(&s.prefix, "prefix", "", "the first level or levels of every topic")
	f.StringVar(&s.ca, "ca", "", "PEM certificates of who may vouch for the broker")
	f.StringVar(&s.certificate, "certificate", "", "the verifier's certificate chain for the broker, PEM")
	f.StringVar(&s.certificateKey, "certificate-key", "", "the certificate's private key, PEM")
	f.StringVar(&s.clientID, "client-id", "robowarden-verifier", "the MQTT client identifier")
	f.StringVar(&s.nonceKey, "nonce-key", "", "the key in challenges' nonces, 64 hexadecimal digits: verifiers that share it judge answers to each other's challenges; nonce.key in the folder without, made where it is missing")
	f.DurationVar(&s.resultLife, "result-life", time.Hour, "how long a result counts; robots ask for the next one before")
	f.DurationVar(&s.challengeLife, "challenge-life", time.Minute, "how long a challenge waits for its answer")
	cmd.AddCommand(newEnrol(&s.dir), newReference(&s.dir), newRevoke(&s.dir), newKeyList(&s.dir))
	return cmd
}

// run serves until ctx ends.
func (s *serving) run(ctx context.Context, log zerolog.Logger) error {
	for _, f := range []struct{ name, value string }{
		{"--key", s.key}, {"--broker", s.broker}, {"--prefix", s.prefix}, {"--ca", s.ca}, {"--certificate", s.certificate}, {"--certificate-key", s.certificateKey},
	} {
		if f.value == "" {
			return usage("%s is missing", f.name)
		}
	}
	u, err := url.Parse(s.broker)
	if err != nil || u.Scheme != "tls" || u.Port() == "" || u.Hostname() == "" {
		return usage("--broker: found %q: expected tls://host:port", s.broker)
	}
	store, err := openStore(s.dir)
	if err != nil {
		return err
	}
	unlock, err := lock(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	key, err := readSigner(s.key)
	if err != nil {
		return err
	}
	nonces, err := s.readNonceKey()
	if err != nil {
		return err
	}
	v, err := verifier.New(verifier.Config{Key: key, ResultLife: s.resultLife, ChallengeLife: s.challengeLife, Random: rand.Reader, NonceKey: nonces}, store)
	if err != nil {
		return err
	}
	config, err := s.tls(u.Hostname())
	if err != nil {
		return err
	}
	return newServer(v, s.prefix, log).run(ctx, u, s.clientID, config)
}

// readNonceKey reads the key for nonces. The folder's own is made where it is missing; whoever serves the folder holds its
// lock.
func (s *serving) readNonceKey() ([]byte, error) {
	path := s.nonceKey
	if path == "" {
		path = filepath.Join(s.dir, "nonce.key")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			fresh := make([]byte, verifier.NonceKeyBytes)
			if _, err := rand.Read(fresh); err != nil {
				return nil, err
			}
			if err := writeOwn(path, []byte(hex.EncodeToString(fresh)+"\n")); err != nil {
				return nil, err
			}
		}
	}
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != verifier.NonceKeyBytes {
		return nil, fmt.Errorf("%s: expected %d hexadecimal digits; a damaged one may be removed, and robots ask again", path, 2*verifier.NonceKeyBytes)
	}
	return key, nil
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

// lock keeps a second verifier off the folder: the two would not know of each other's challenges and states.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: another verifier serves this folder (%w)", dir, err)
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

func (s *serving) tls(host string) (*tls.Config, error) {
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
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: host, Certificates: []tls.Certificate{own}}, nil
}

// Package fleet is the station's command that takes robots' evidence from a broker; it parses flags and prints, and judges nothing itself.
package fleet

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// errAlarms ends the command with 1 after the alarms have been printed.
var errAlarms = answer.With(answer.No, errors.New(""))

// New returns the command "fleet" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fleet", Short: "Take, verify and acknowledge what robots report", Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTail(), newHalts())
	return cmd
}

// flags of fleet tail.
type flags struct {
	broker, prefix, key, ca, certificate, certificateKey, clientID, store, output string
	robots                                                                        []string
	maxMiB                                                                        int
	patience                                                                      time.Duration
}

func newTail() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "tail --broker URL --prefix LEVELS --key FILE --robot ID=FILE...",
		Short: "Follow robots' evidence: verify it, store it, acknowledge it, shout on a gap or fork",
		Long: `Tail takes what robots report over MQTT. It recomputes every log's evidence chain, holds it against the checkpoints that
the robot's device key signed, keeps each record once in a file for each robot, and acknowledges what is on the disk with
its own key, which the robots' key lists must give the role consumer. Robots delete only what was acknowledged.

What cannot be right is printed with a stable code and what to do about it; then the exit code is 1. A missing record is
never acknowledged over.`,
		Example: `  robowarden-station fleet tail --broker tls://broker.example:8883 --prefix hospital/robots --key consumer.key \
    --ca broker-ca.pem --certificate station.pem --certificate-key station.key.pem --robot acme/hum-0007=hum-0007.json`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	s := cmd.Flags()
	s.StringVar(&f.broker, "broker", "", "the broker's address, tls://host:port")
	s.StringVar(&f.prefix, "prefix", "", "the first level or levels of every topic")
	s.StringVar(&f.key, "key", "", "the consumer's private key, which signs acknowledgements (PKCS #8 in PEM)")
	s.StringVar(&f.ca, "ca", "", "the certificates of who may vouch for the broker (PEM)")
	s.StringVar(&f.certificate, "certificate", "", "the client certificate (PEM)")
	s.StringVar(&f.certificateKey, "certificate-key", "", "the client certificate's private key (PEM)")
	s.StringVar(&f.clientID, "client-id", "", "the name of the session at the broker; default: the client certificate's common name")
	s.StringArrayVar(&f.robots, "robot", nil, "an enrolled robot and the file of its device key's public half, manufacturer/serial=FILE, where FILE is what robowarden identity printed or the public key; repeat for more")
	s.StringVar(&f.store, "store", "fleet", "the folder that keeps one file for each robot")
	s.IntVar(&f.maxMiB, "max-mib", 1024, "the most that one robot's file takes, in MiB; when it is full, nothing more is acknowledged")
	s.DurationVar(&f.patience, "patience", 2*time.Minute, "how long a missing record may take before it is told")
	s.StringVar(&f.output, "output", "text", "text for people, json for programs")
	return cmd
}

// run joins consumer and broker until the command is told to end.
func (f *flags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	p := &printer{w: cmd.OutOrStdout(), json: f.output == "json"}
	broker, err := f.connection()
	if err != nil {
		return err
	}
	broker.Log = zerolog.New(zerolog.ConsoleWriter{Out: cmd.ErrOrStderr(), NoColor: true, TimeFormat: "15:04:05"}).With().Timestamp().Logger()
	o := fleet.DefaultOptions()
	o.Prefix, o.Dir, o.MaxBytes, o.Patience = f.prefix, f.store, int64(f.maxMiB)<<20, f.patience
	if o.Key, err = readKey(f.key); err != nil {
		return err
	}
	if o.Devices, err = devices(f.robots); err != nil {
		return err
	}
	var alarms atomic.Int64
	o.OnRecord, o.OnConnection = p.record, p.connection
	o.OnAlarm = func(a fleet.Alarm) {
		alarms.Add(1)
		p.alarm(a)
	}
	c, err := fleet.Open(time.Now(), o)
	if err != nil {
		return err
	}
	err = errors.Join(fleet.Run(cmd.Context(), broker, c), p.err)
	if err = errors.Join(err, c.Close()); err == nil && alarms.Load() > 0 {
		return errAlarms
	}
	return err
}

func (f *flags) check() error {
	for _, need := range []struct{ name, value, what string }{
		{"--broker", f.broker, "the broker's address, tls://host:port"},
		{"--prefix", f.prefix, "the first level or levels of every topic, as the robots' deployments name them"},
		{"--key", f.key, "the file of the consumer's private key"},
		{"--ca", f.ca, "the certificates of who may vouch for the broker"},
		{"--certificate", f.certificate, "the client certificate"},
		{"--certificate-key", f.certificateKey, "the client certificate's private key"},
	} {
		if need.value == "" {
			return answer.Usage("%s is missing: expected %s", need.name, need.what)
		}
	}
	switch {
	case len(f.robots) == 0:
		return answer.Usage("--robot is missing: expected manufacturer/serial=FILE, once for each enrolled robot")
	case f.output != "text" && f.output != "json":
		return answer.Usage("--output: expected text or json, found %q", f.output)
	case f.maxMiB < 1 || f.maxMiB > 1<<20:
		return answer.Usage("--max-mib: expected 1 to %d, found %d", 1<<20, f.maxMiB)
	case f.patience <= 0:
		return answer.Usage("--patience: expected a positive duration, found %v", f.patience)
	}
	return nil
}

// connection reads the certificates.
func (f *flags) connection() (fleet.Broker, error) {
	b := fleet.Broker{URL: f.broker, ClientID: f.clientID}
	cert, err := tls.LoadX509KeyPair(f.certificate, f.certificateKey)
	if err != nil {
		return b, fmt.Errorf("client certificate: %w", err)
	}
	text, err := os.ReadFile(f.ca)
	if err != nil {
		return b, fmt.Errorf("broker's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return b, fmt.Errorf("broker's authority: %s: expected certificates in PEM", f.ca)
	}
	if b.ClientID == "" {
		b.ClientID = cert.Leaf.Subject.CommonName
	}
	if b.ClientID == "" {
		return b, answer.Usage("--client-id is missing, and the client certificate has no common name")
	}
	b.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: pool}
	return b, nil
}

func readKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("consumer's key: %w", err)
	}
	key, err := order.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("consumer's key: %s: %w", path, err)
	}
	return key, nil
}

// devices reads the robots' device keys.
func devices(list []string) (map[string]crypto.PublicKey, error) {
	out := make(map[string]crypto.PublicKey, len(list))
	for _, entry := range list {
		id, path, ok := strings.Cut(entry, "=")
		if !ok || !order.IsRobotID(id) {
			return nil, answer.Usage("--robot: expected manufacturer/serial=FILE, found %q", entry)
		}
		if _, twice := out[id]; twice {
			return nil, answer.Usage("--robot: %s is given twice", id)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("device key of %s: %w", id, err)
		}
		if out[id], err = deviceKey(id, text); err != nil {
			return nil, fmt.Errorf("device key of %s: %s: %w", id, path, err)
		}
	}
	return out, nil
}

// deviceKey reads a robot's device key: the identity that `robowarden identity` prints, or the public key alone.
func deviceKey(robot string, text []byte) (crypto.PublicKey, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return order.ParsePublicKey(text)
	}
	var id evidence.Identity
	if err := id.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	if id.Robot != robot {
		return nil, fmt.Errorf("expected the identity of %s, found that of %s", robot, id.Robot)
	}
	return id.Key, nil
}

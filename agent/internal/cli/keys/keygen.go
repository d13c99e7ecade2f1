package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

// made is what keygen answers.
type made struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm"`
	Private   string `json:"private_key"`
	Public    string `json:"public_key"`
}

// NewKeygen returns the subcommand that makes a key pair.
func NewKeygen() *cobra.Command {
	var alg, out string
	var ans output
	cmd := answer.Quiet(&cobra.Command{
		Use:   "keygen --out DIR/NAME",
		Short: "Make a key pair that signs orders",
		Long: `Keygen makes a key pair and writes NAME.key (private, PKCS #8, mode 0600) and NAME.pub (public). It never writes over a
file. The private key has no passphrase: keep it on an encrypted disk. The public key goes into a key list.`,
		Example: "  robowarden-station keygen --out keys/olga",
		Args:    answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ans.check(); err != nil {
				return err
			}
			if out == "" {
				return answer.Usage("--out is missing: expected the folder and name of the key, like keys/olga")
			}
			if alg != string(order.ECDSAP256) && alg != string(order.Ed25519) {
				return answer.Usage("--alg: expected %s or %s, found %q", order.ECDSAP256, order.Ed25519, alg)
			}
			m, err := generate(order.Algorithm(alg), out)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("private key  %s (nobody else may read it)\npublic key   %s\nkey id       %s\n", m.Private, m.Public, m.ID)
			return ans.write(cmd.OutOrStdout(), text, m)
		},
	})
	cmd.Flags().StringVar(&alg, "alg", string(order.ECDSAP256), "the algorithm: ecdsa-p256 or ed25519")
	cmd.Flags().StringVar(&out, "out", "", "folder and name of the key, without an ending")
	ans.flag(cmd)
	return cmd
}

// generate makes and writes a key pair. The public key comes first: should its name be taken, no private key lies about.
func generate(alg order.Algorithm, out string) (*made, error) {
	m := &made{Algorithm: string(alg), Private: out + ".key", Public: out + ".pub"}
	switch _, err := os.Lstat(m.Private); {
	case err == nil:
		return nil, fmt.Errorf("%s exists already: choose another name, nothing is ever written over", m.Private)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	key, err := order.GenerateKey(alg)
	if err != nil {
		return nil, err
	}
	private, err := order.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := order.MarshalPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if m.ID, err = order.KeyID(key.Public()); err != nil {
		return nil, err
	}
	if err := writeNew(m.Public, public, 0o644); err != nil {
		return nil, err
	}
	if err := writeNew(m.Private, private, 0o600); err != nil {
		return nil, errors.Join(err, os.Remove(m.Public))
	}
	return m, nil
}

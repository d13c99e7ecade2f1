package authority

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/internal/durable"
	"github.com/robowarden/robowarden/attest/order"
)

// keyLists is the file that says which key list is the newest of each audience.
const keyLists = "keylists.json"

// newest is the newest key list that has been seen of one audience: as on a robot, one that came before it does not count any more.
type newest struct {
	Sequence uint64 `json:"sequence"`
	// Digest is the SHA-256 of the list's payload, hexadecimal.
	Digest string `json:"digest"`
}

// TakeKeyList remembers a key list that the pinned roots have signed: from now on no older one says who may revoke.
func (a *Authority) TakeKeyList(keyList []byte) (sequence uint64, err error) {
	roots, err := a.orderRoots()
	if err != nil {
		return 0, err
	}
	return TakeKeyList(a.dir, keyList, roots, a.now())
}

// TakeKeyList verifies a key list by root keys and remembers it in a folder, or says by which newer one it was replaced.
func TakeKeyList(dir string, keyList []byte, roots []crypto.PublicKey, now time.Time) (sequence uint64, err error) {
	v, err := openKeyList(dir, keyList, roots, now)
	if err != nil {
		return 0, err
	}
	return v.InForce().Order.Sequence, nil
}

// openKeyList verifies a key list by root keys and remembers it. The verifier has it in force.
func openKeyList(dir string, keyList []byte, roots []crypto.PublicKey, now time.Time) (*order.Verifier, error) {
	config := order.Config{Robot: "authority/revocations", Roots: roots, KeyLists: [][]byte{keyList}}
	if err := answerTo(&config, keyList); err != nil {
		return nil, fmt.Errorf("key list: %w", err)
	}
	v, err := order.NewVerifier(config, order.NewFloors()) // the floor is keylists.json: there is one for each audience
	if err != nil {
		return nil, err
	}
	if err := v.Fault(); err != nil {
		return nil, fmt.Errorf("key list: %w", err)
	}
	o := v.InForce().Order
	if now.Before(o.NotBefore) { // it would lock out the one that counts until then
		return nil, fmt.Errorf("key list: it counts from %s on, and now is %s: use the one before it until then", o.NotBefore.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := remember(dir, v.InForce()); err != nil {
		return nil, fmt.Errorf("key list: %w", err)
	}
	return v, nil
}

// answerTo makes the verifier one of those for whom a key list is meant: an authority serves a whole site, and any of its robots'
// lists says who is who. Who has signed it is checked afterwards.
func answerTo(c *order.Config, keyList []byte) error {
	env, err := order.ParseEnvelope(keyList)
	if err != nil {
		return err
	}
	o, err := order.Decode(env.Payload)
	if err != nil {
		return err
	}
	if group, ok := strings.CutPrefix(o.Audience[0], "group:"); ok {
		c.Groups = []string{group}
	} else {
		c.Robot = o.Audience[0]
	}
	return nil
}

// remember makes a verified list the newest of each of its audiences, or refuses it if it is older than that of any. It is durable
// before it returns.
func remember(dir string, list *order.Verified) error {
	path := filepath.Join(dir, keyLists)
	unlock, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	known := map[string]newest{}
	data, err := durable.Read(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist): // nothing has been seen yet
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(data, &known); err != nil || known == nil {
			return fmt.Errorf("%s, which says what the newest list is, cannot be read: bring it back from a backup (%w)", path, err)
		}
	}
	is := newest{list.Order.Sequence, hex.EncodeToString(list.Digest[:])}
	changed := false
	for _, audience := range list.Order.Audience {
		if err := is.follows(known[audience], audience); err != nil {
			return err
		}
		changed = changed || known[audience] != is
		known[audience] = is
	}
	if !changed {
		return nil
	}
	if data, err = json.MarshalIndent(known, "", "  "); err != nil {
		return err
	}
	if len(data) >= maxFile {
		return fmt.Errorf("%s would have %d bytes: at most %d are kept", path, len(data), maxFile)
	}
	return durable.Write(path, append(data, '\n'), 0o600)
}

// follows says whether a list may come after one of the same audience, as robots have it; the first may have any sequence.
func (n newest) follows(last newest, audience string) error {
	switch {
	case last.Sequence == 0, n == last:
		return nil
	case n.Sequence <= last.Sequence:
		return fmt.Errorf("it has sequence %d and digest %.8s, but the newest seen for %s has sequence %d and digest %.8s: give that one, or a newer one",
			n.Sequence, n.Digest, audience, last.Sequence, last.Digest)
	case n.Sequence-last.Sequence > order.MaxSequenceStep:
		return fmt.Errorf("it has sequence %d, and the newest seen for %s has %d: expected a step of at most %d", n.Sequence, audience, last.Sequence, order.MaxSequenceStep)
	}
	return nil
}

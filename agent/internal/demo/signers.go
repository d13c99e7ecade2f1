package demo

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// signers are the people of the day: a root who has vouched for the keys of an operator and of a safety engineer, and
// somebody who has a key that nobody vouched for. The keys are drawn for one run and never leave it.
type signers struct {
	robot, boot, nonce string
	civil              func() time.Time
	operator           crypto.Signer
	engineer, stranger crypto.Signer
	verifier           *order.Verifier
	used               *order.Floors
}

// orderLife is how long a signed reset holds, orderSlack how long before it is sent: the desk and the robot need not agree
// to the second.
const (
	orderLife  = 5 * time.Minute
	orderSlack = 5 * time.Second
)

func newSigners(robot string, boot [16]byte, civil func() time.Time) (*signers, error) {
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("demo: nonce: %w", err)
	}
	h := hex.EncodeToString(boot[:])
	s := &signers{
		robot: robot, boot: h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:],
		nonce: hex.EncodeToString(nonce[:]), civil: civil, used: order.NewFloors(),
	}
	var root crypto.Signer
	for _, to := range []*crypto.Signer{&root, &s.operator, &s.engineer, &s.stranger} {
		key, err := order.GenerateKey(order.Ed25519)
		if err != nil {
			return nil, fmt.Errorf("demo: keys: %w", err)
		}
		*to = key
	}
	list, err := s.keyList(root)
	if err != nil {
		return nil, fmt.Errorf("demo: key list: %w", err)
	}
	s.verifier, err = order.NewVerifier(order.Config{
		Robot: robot, BootID: s.boot, Nonce: s.nonce, Roots: []crypto.PublicKey{root.Public()}, RequiredRoots: 1,
		KeyLists: [][]byte{list}, AllowDemo: true,
	}, s.used)
	if err == nil {
		err = s.verifier.Fault()
	}
	if err != nil {
		return nil, fmt.Errorf("demo: verifier: %w", err)
	}
	return s, nil
}

// keyList is signed by the root and names the root and the operator.
func (s *signers) keyList(root crypto.Signer) ([]byte, error) {
	from := s.civil().UTC().Truncate(time.Hour).Add(-time.Hour)
	entry := func(k crypto.Signer, person string, role order.Role) (order.Key, error) {
		id, err := order.KeyID(k.Public())
		if err != nil {
			return order.Key{}, err
		}
		pem, err := order.MarshalPublicKey(k.Public())
		return order.Key{
			ID: id, PEM: string(pem), Person: person, Roles: []order.Role{role}, NotBefore: from, NotAfter: from.Add(48 * time.Hour), Demo: true,
		}, err
	}
	r, err := entry(root, "demo-root", order.RoleRoot)
	if err != nil {
		return nil, err
	}
	o, err := entry(s.operator, "demo-operator", order.RoleOperator)
	if err != nil {
		return nil, err
	}
	e, err := entry(s.engineer, "demo-safety-engineer", order.RoleSafetyEngineer)
	if err != nil {
		return nil, err
	}
	return order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{s.robot}, Sequence: 1, NotBefore: from,
		NotAfter: from.Add(48 * time.Hour), Reason: "keys of the demonstration", KeyList: &order.KeyList{Keys: []order.Key{r, o, e}},
	}, root)
}

func (s *signers) sign(key crypto.Signer) ([]byte, error) {
	now := s.civil().UTC().Truncate(time.Second).Add(-orderSlack)
	return order.Sign(&order.Order{
		Kind: order.KindReset, ID: order.NewID(), Audience: []string{s.robot}, NotBefore: now, NotAfter: now.Add(orderLife),
		Binding: order.Binding{BootID: s.boot, Nonce: s.nonce}, Reason: "looked at the robot; it may go on",
		Reset: &order.Reset{All: true},
	}, key)
}

func (s *signers) operatorReset() ([]byte, error) { return s.sign(s.operator) }
func (s *signers) engineerReset() ([]byte, error) { return s.sign(s.engineer) }
func (s *signers) forged() ([]byte, error)        { return s.sign(s.stranger) }

// verify judges a document as the robot does and uses it up. Only resets have a meaning here.
func (s *signers) verify(document []byte) (guard.Order, error) {
	now := order.Times{Civil: s.civil(), Uncertainty: time.Second, Trust: order.Trusted}
	v, err := s.verifier.Verify(now, document)
	if err != nil {
		return guard.Order{}, err
	}
	if v.Order.Kind != order.KindReset {
		return guard.Order{}, fmt.Errorf("demo: expected an order of kind %q, found %q", order.KindReset, v.Order.Kind)
	}
	if err := s.used.Use(now, v.Claim()); err != nil {
		return guard.Order{}, err
	}
	out := guard.Order{Kind: guard.OrderReset, All: v.Order.Reset.All, Zone: geofence.NoZone}
	for i, p := range v.Signers {
		if i == len(out.Signers) {
			break
		}
		sum := sha256.Sum256([]byte(p.Person))
		out.Signers[i] = guard.Signer{Person: binary.LittleEndian.Uint64(sum[:]), Role: interlock.RoleOperator}
		if slices.Contains(p.Roles, order.RoleSafetyEngineer) {
			out.Signers[i].Role = interlock.RoleSafetyEngineer
		}
	}
	return out, nil
}

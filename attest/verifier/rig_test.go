package verifier

import (
	"crypto"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// service is a verifier with a store in a directory, and a robot that knows the verifier's key.
type service struct {
	tb       testing.TB
	dir      string
	store    *DirStore
	v        *Verifier
	key      crypto.Signer
	guard    *order.Verifier
	attester *evidence.Attester
	m        *machine
	i        install
	seq      uint64
	nonceKey []byte // Nil draws one for each process.
}

func newService(tb testing.TB) *service {
	tb.Helper()
	s := &service{tb: tb, dir: tb.TempDir(), m: newMachine(tb), i: standard()}
	s.m.boot(s.i)
	var err error
	if s.store, err = OpenDir(s.dir); err != nil {
		tb.Fatal(err)
	}
	if err := s.store.SaveReferences(references(tb)); err != nil {
		tb.Fatal(err)
	}
	if err := s.store.Enrol(s.m.enrolment(), false); err != nil {
		tb.Fatal(err)
	}
	if s.key, err = order.GenerateKey(order.ECDSAP256); err != nil {
		tb.Fatal(err)
	}
	s.restart()
	s.robot()
	return s
}

// restart is a new process of the verifier over the same store.
func (s *service) restart() {
	s.tb.Helper()
	var err error
	if s.v, err = New(Config{Key: s.key, ResultLife: time.Hour, ChallengeLife: time.Minute, Random: rand.Reader, NonceKey: s.nonceKey}, s.store); err != nil {
		s.tb.Fatal(err)
	}
}

// robot makes the robot's side: a guard that believes the verifier's key, and an attester.
func (s *service) robot() {
	s.tb.Helper()
	root, err := order.GenerateKey(order.Ed25519)
	if err != nil {
		s.tb.Fatal(err)
	}
	list := &order.KeyList{}
	for person, k := range map[string]crypto.Signer{"rita": root, "verifier-1": s.key} {
		pem, err := order.MarshalPublicKey(k.Public())
		if err != nil {
			s.tb.Fatal(err)
		}
		id, err := order.KeyID(k.Public())
		if err != nil {
			s.tb.Fatal(err)
		}
		role := order.RoleVerifier
		if person == "rita" {
			role = order.RoleRoot
		}
		list.Keys = append(list.Keys, order.Key{ID: id, PEM: string(pem), Person: person, Roles: []order.Role{role}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(24 * time.Hour)})
	}
	env, err := order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robot}, Sequence: 1, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), Reason: "keys", KeyList: list,
	}, root)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.guard, err = order.NewVerifier(order.Config{Robot: robot, BootID: bootID, Nonce: guardNonce, Roots: []crypto.PublicKey{root.Public()}, KeyLists: [][]byte{env}}, order.NewFloors())
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.attester, err = evidence.NewAttester(robot, bootID, order.TierTPM); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *service) hello() *evidence.Hello {
	h := &evidence.Hello{Robot: robot, BootID: bootID, GuardNonce: guardNonce, Tier: order.TierTPM, AKName: strings.Repeat("0b", 34), KeyID: "key", Logs: map[string]string{}}
	for name, log := range s.i.logs() {
		h.Logs[name] = digest(log)
	}
	return h
}

// ask says hello and has the robot accept the challenge.
func (s *service) ask(now time.Time) *order.Challenge {
	s.tb.Helper()
	env, err := s.v.Hello(now, robot, s.hello())
	if err != nil {
		s.tb.Fatal(err)
	}
	c, err := s.attester.Accept(order.Times{Civil: now, Uncertainty: time.Second, Trust: order.Trusted}, now.Sub(noon)+time.Hour, s.guard, env)
	if err != nil {
		s.tb.Fatal(err)
	}
	return c
}

// answer makes the robot's evidence.
func (s *service) answer(c *order.Challenge) []byte {
	s.tb.Helper()
	claims := s.i.claims(s.tb, c)
	s.seq++
	claims.Journal.Seq += s.seq
	return build(s.tb, claims, c.PCRs, s.m.tpm.Device(), s.m.quote)
}

func (s *service) sendLogs(now time.Time, c *order.Challenge) *Outcome {
	s.tb.Helper()
	var last *Outcome
	for _, name := range c.Logs {
		log := s.i.logs()[name]
		out, err := s.v.Log(now, robot, &evidence.LogPart{Name: name, SHA256: digest(log), Log: log})
		if err != nil {
			s.tb.Fatal(err)
		}
		last = out
	}
	return last
}

// result has the guard verify a result.
func (s *service) result(now time.Time, env []byte) *order.Order {
	s.tb.Helper()
	x, err := s.guard.Verify(order.Times{Civil: now, Uncertainty: time.Second, Trust: order.Trusted}, env)
	if err != nil {
		s.tb.Fatal(err)
	}
	return x.Order
}

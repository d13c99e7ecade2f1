package agent

import (
	"crypto"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// hangingFS is a disk whose first write does not return before release is closed.
type hangingFS struct {
	order.FS
	once           sync.Once
	hangs, release chan struct{}
}

func (f *hangingFS) WriteSync(name string, data []byte) error {
	err := error(nil)
	f.once.Do(func() {
		close(f.hangs)
		<-f.release
		err = errors.New("the disk came back")
	})
	if err != nil {
		return err
	}
	return f.FS.WriteSync(name, data)
}

// TestStopDoesNotWaitForADiskThatHangs lets the disk hang while a reset is made durable. A stop that comes then acts.
func TestStopDoesNotWaitForADiskThatHangs(t *testing.T) {
	s := newTestSite(t)
	a := s.running()
	defer s.kill(a)
	disk := &hangingFS{FS: a.state.dir, hangs: make(chan struct{}), release: make(chan struct{})}
	store := order.OpenStore(disk, false)
	a.orders.store = store
	verifier, err := order.NewVerifier(order.Config{
		Robot: testRobot, BootID: bootUUID(a.boot), Nonce: a.nonce, Roots: []crypto.PublicKey{s.root.Public()}, RequiredRoots: 1,
		KeyLists: a.verify.Chain(),
	}, store)
	s.must(err)
	a.orders.verifier.Store(verifier)

	reset := s.sign(&order.Order{
		Kind: order.KindReset, Binding: order.Binding{BootID: bootUUID(a.boot), Nonce: a.nonce}, Reset: &order.Reset{All: true},
	}, s.engineer)
	done := make(chan Receipt, 2)
	go func() { done <- a.orders.apply(reset) }()
	<-disk.hangs // From here on the reset hangs.
	stop := s.sign(&order.Order{Kind: order.KindStop, Stop: &order.Stop{Category: 2}}, s.engineer)
	go func() { done <- a.orders.apply(stop, order.KindStop) }()
	select {
	case r := <-done:
		if !r.Applied || r.Kind != string(order.KindStop) {
			t.Errorf("the stop's receipt: %+v", r)
		}
	case <-time.After(5 * time.Second):
		t.Error("a stop waits for the disk")
	}
	if got := a.guard.Status(); got.Axes.Motion != "stop" {
		t.Errorf("motion is %q after a stop", got.Axes.Motion)
	}
	if r := a.orders.apply(reset); r.Reason != "busy" {
		t.Errorf("an order behind one that hangs: %+v", r)
	}
	close(disk.release)
	if r := <-done; r.Accepted {
		t.Errorf("the reset took effect though it could not be recorded: %+v", r)
	}
	if got := a.guard.Status(); got.Axes.Motion != "stop" {
		t.Errorf("motion is %q after a reset that was refused", got.Axes.Motion)
	}
}

// TestEverySignerOfAResetIsHeard has a person with many roles sign before another: both count.
func TestEverySignerOfAResetIsHeard(t *testing.T) {
	all := []order.Role{
		order.RoleRoot, order.RoleStopOnly, order.RoleOperator, order.RoleFleetManager, order.RoleVendor, order.RoleSafetyEngineer,
	}
	for _, c := range []struct {
		name    string
		first   []order.Role
		persons int
		entries int
	}{
		{"one role each (off)", []order.Role{order.RoleOperator}, 2, 2},
		{"many roles before", all, 2, 4},
		{"roles that reset nothing", []order.Role{order.RoleRoot, order.RoleStopOnly}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			persons, entries := map[uint64]bool{}, 0
			for _, s := range signers(&order.Verified{Signers: []order.Signer{
				{Person: "rita", Roles: c.first}, {Person: "sven", Roles: []order.Role{order.RoleSafetyEngineer}},
			}}) {
				if s.Person != 0 {
					persons[s.Person] = true
					entries++
				}
			}
			if len(persons) != c.persons || entries != c.entries {
				t.Errorf("%d persons in %d entries, want %d in %d", len(persons), entries, c.persons, c.entries)
			}
		})
	}
}

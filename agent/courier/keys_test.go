package courier

import (
	"testing"

	"github.com/robowarden/robowarden/attest/order"
)

// TestKeyListThatCameLater replaces the verifier while the courier runs: its challenges count as soon as the guard tells the
// new list, and those of the one before do not any more.
func TestKeyListThatCameLater(t *testing.T) {
	w := newWorld(t)
	first := w.people.verifier
	list, victor := w.people.successor(t, 2, w.people.root)
	w.people.later = [][]byte{list}
	w.guard.verify(w.people)
	w.people.verifier = victor
	w.guard.record(3)
	w.run()
	until(t, "a challenge by a verifier whom the delivered list does not name", func() bool { return w.noted(`"reason":"unknown-key"`) })
	if n := w.on(TopicEvidence); n != 0 {
		t.Fatalf("off: %d challenges by a stranger were answered", n)
	}
	w.guard.tell(w.people.list, list)
	w.settled(evidenceCount(3))

	w.with(func() { w.people.verifier = first })
	n := w.on(TopicEvidence)
	w.guard.again(w.people)
	until(t, "a refusal of the verifier that was replaced", func() bool { return w.count(`"reason":"unknown-key"`) >= 2 })
	if now := w.on(TopicEvidence); now != n {
		t.Errorf("%d challenges by the replaced verifier were answered", now-n)
	}
}

// TestKeyListsThatDoNotCount tells the courier lists that no root of the robot has signed, or that are older than its own.
func TestKeyListsThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	stranger, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	forged, verifier := w.people.successor(t, 9, stranger)
	w.guard.record(3)
	w.run()
	w.settled(evidenceCount(3))
	w.with(func() { w.people.verifier = verifier })
	w.guard.tell(forged)
	until(t, "a fault", func() bool { return w.noted("key lists of the guard") })
	n := w.on(TopicEvidence)
	w.guard.again(w.people)
	until(t, "a refusal of the forger's challenge", func() bool { return w.noted(`"reason":"unknown-key"`) })
	if now := w.on(TopicEvidence); now != n {
		t.Errorf("%d of a forger's challenges were answered", now-n)
	}
}

// TestOlderKeyListsAreNotTakenBack delivers the second list and tells the first.
func TestOlderKeyListsAreNotTakenBack(t *testing.T) {
	w := newWorld(t)
	old := w.people.list
	list, victor := w.people.successor(t, 2, w.people.root)
	w.people.later = [][]byte{list}
	w.guard.verify(w.people)
	w.deliver(list)
	w.guard.tell(old)
	w.people.verifier = victor
	w.guard.record(3)
	w.run()
	w.settled(evidenceCount(3))
	if w.noted("key lists of the guard") {
		t.Error("an older list is no fault")
	}
}

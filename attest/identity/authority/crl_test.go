package authority

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/tpm"
)

// TestStrangersAskForLists has many strangers ask for the list at once: it is signed once, until a record changes, whoever changes
// it, or an hour has passed; never two at a time.
func TestStrangersAskForLists(t *testing.T) {
	s := newSite(t)
	d := &device{s: s, dir: t.TempDir(), name: robot}
	d.key = must(tpm.CreateSoftware(filepath.Join(d.dir, "device.key.pem")))(t)
	d.enrolled(s.invite(robot, software), enrol.Enrolled)
	a := must(Open(s.dir, s.clock.now))(t) // s.a is another process with the same folder
	var signed atomic.Int32
	a.step = func(what string) {
		if what == "list" {
			signed.Add(1)
			if a.lists.mu.TryLock() {
				t.Error("another list could be made at the same time")
				a.lists.mu.Unlock()
			}
		}
	}
	h := a.Handler(zerolog.Nop())
	ask := func() []byte {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, identity.PathCRL+"?role=robot", nil))
		if w.Code != http.StatusOK {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		return w.Body.Bytes()
	}
	flood := func(what string, want int32) {
		t.Helper()
		signed.Store(0)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() { ask() })
		}
		wg.Wait()
		if n := signed.Load(); n != want {
			t.Errorf("%s: %d lists were signed, expected %d", what, n, want)
		}
	}
	rest := func(ago time.Duration) {
		t.Helper()
		at := time.Now().Add(-ago)
		if err := os.Chtimes(filepath.Join(s.dir, dirRecords, "robot"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	rest(time.Hour)
	flood("at first", 1)
	flood("again", 0)
	s.clock.wait(crlKept - time.Minute)
	flood("within the hour", 0)
	s.clock.wait(time.Minute)
	flood("after the hour", 1)
	s.clock.wait(-time.Minute)
	flood("the clock went back", 1)
	before := ask()
	revoke(t, s, robot)
	if got := ask(); bytes.Equal(got, before) || len(revoked(t, &site{tb: t, a: a})) != 1 {
		t.Error("another process has revoked, and the list is the old one")
	}
	// A change just now may be followed by one that shows no other time: such a list is not kept.
	rest(-time.Hour)
	signed.Store(0)
	ask()
	ask()
	if n := signed.Load(); n != 2 {
		t.Errorf("%d lists were signed right after a change, expected 2", n)
	}
	rest(time.Minute)
	flood("at rest again", 1)
}

// TestDamagedRecordsAreNotLeftOut: a revoked certificate that cannot be read would be missing on the list, and its holder be let in
// again. No list is signed then, and the record is named.
func TestDamagedRecordsAreNotLeftOut(t *testing.T) {
	s := newSite(t)
	d := &device{s: s, dir: t.TempDir(), name: robot}
	d.key = must(tpm.CreateSoftware(filepath.Join(d.dir, "device.key.pem")))(t)
	d.enrolled(s.invite(robot, software), enrol.Enrolled)
	damage := func() {
		t.Helper()
		err := s.a.update(identity.RoleRobot, robot, func(r *record) error {
			r.Certificates[0].DER = r.Certificates[0].DER[1:]
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	damage()
	if len(revoked(t, s)) != 0 { // the off run: nobody has to know the number of one that was not taken back
		t.Error("a list names what was not revoked")
	}
	err := s.a.update(identity.RoleRobot, robot, func(r *record) error {
		r.Certificates[0].Revoked = s.clock.now().UTC()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if der, err := s.a.CRL(identity.RoleRobot); err == nil || !strings.Contains(err.Error(), robot) || !strings.Contains(err.Error(), "number 1") {
		t.Errorf("%d bytes of list, %v", len(der), err)
	}
	file := filepath.Join(t.TempDir(), "crl.pem")
	if err := s.a.WriteCRL(identity.RoleRobot, file); err == nil {
		t.Error("a list was written")
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was written")
	}
}

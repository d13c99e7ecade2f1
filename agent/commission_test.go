package agent

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
)

// workshop is a robot's record with those who may sign it, and who may not.
type workshop struct {
	*proofs
	verify     *order.Verifier
	tara, sven crypto.Signer
	now        order.Times
}

func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	key := func() crypto.Signer {
		k, err := order.GenerateKey(order.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	root := key()
	w := &workshop{tara: key(), sven: key(), now: order.Times{Civil: noon.Add(time.Hour), Uncertainty: time.Second, Trust: order.Trusted}}
	list := &order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{testRobot}, Sequence: 1, NotBefore: noon.Add(-time.Hour), NotAfter: noon.AddDate(3, 0, 0),
		Reason: "enrolment", KeyList: &order.KeyList{},
	}
	for role, k := range map[order.Role]crypto.Signer{order.RoleRoot: root, order.RoleTechnician: w.tara, order.RoleSafetyEngineer: w.sven} {
		id, err := order.KeyID(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		pem, err := order.MarshalPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		list.KeyList.Keys = append(list.KeyList.Keys, order.Key{
			ID: id, PEM: string(pem), Person: strings.ReplaceAll(string(role), "safety-", "") + "-1", Roles: []order.Role{role}, NotBefore: list.NotBefore, NotAfter: list.NotAfter,
		})
	}
	signed, err := order.Sign(list, root)
	if err != nil {
		t.Fatal(err)
	}
	w.verify, err = order.NewVerifier(order.Config{
		Robot: testRobot, Roots: []crypto.PublicKey{root.Public()}, RequiredRoots: 1, KeyLists: [][]byte{signed},
	}, order.NewFloors())
	if err != nil {
		t.Fatal(err)
	}
	state, err := openState(t.TempDir(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.dir.Close() })
	w.proofs = &proofs{robot: testRobot, profile: order.Digest([]byte("profile")), every: 8760 * time.Hour, state: state}
	return w
}

// record is a test that was passed at noon.
func (w *workshop) record(edit func(*order.Commissioning)) []byte {
	rec := &order.Commissioning{
		Robot: testRobot, Profile: w.profile, BootID: testBoot, Measured: noon, Due: noon.Add(w.every), MPS: 0.5,
		Items: []order.CommissioningItem{
			{Name: "deceleration", Result: order.ItemPassed, Unit: "m/s2", Value: 0.81, Error: 0.03, Mean: 0.81, Limit: 0.7, Text: "0.81 over 3 stops"},
			{Name: "rung.lock", Result: order.ItemPassed, Unit: "s", Value: 0.7, Limit: 1.4, Text: "at rest after 0.70 s"},
		},
	}
	if edit != nil {
		edit(rec)
	}
	out, err := rec.Encode()
	if err != nil {
		panic(err)
	}
	return out
}

func (w *workshop) sign(payload []byte, by crypto.Signer) []byte {
	out, err := order.SignDocument(order.CommissioningType, payload, by)
	if err != nil {
		panic(err)
	}
	return out
}

func TestRecordOfAProofTestIsJudged(t *testing.T) {
	fail := func(c *order.Commissioning) { c.Items[0].Result = order.ItemFailed }
	for name, c := range map[string]struct {
		edit     func(w *workshop)
		want     guard.CommissionState
		says     string
		demanded bool
	}{
		"valid":               {nil, guard.CommissionValid, "tested on 2026-11-22", true},
		"nothing is demanded": {func(w *workshop) { w.every = 0 }, guard.CommissionUnknown, "demands no proof test", false},
		"never tested":        {func(w *workshop) { w.signed = nil }, guard.CommissionMissing, "never tested", true},
		"not signed yet":      {func(w *workshop) { w.measured, w.signed = w.record(nil), nil }, guard.CommissionMissing, "waits for a technician's signature", true},
		"tested and failed":   {func(w *workshop) { w.measured, w.signed = w.record(fail), nil }, guard.CommissionWorse, "deceleration failed", true},
		"a later test failed": {func(w *workshop) {
			w.measured = w.record(func(c *order.Commissioning) { fail(c); c.Measured = noon.Add(time.Minute) })
		}, guard.CommissionWorse, "a later test failed", true},
		"a later test failed, by a clock that was set back": {func(w *workshop) {
			w.measured = w.record(func(c *order.Commissioning) { fail(c); c.Measured = noon.Add(-time.Minute) })
		}, guard.CommissionWorse, "a later test failed", true},
		"a later test of another profile failed": {func(w *workshop) {
			w.measured = w.record(func(c *order.Commissioning) { fail(c); c.Profile = order.Digest([]byte("another")) })
		}, guard.CommissionWorse, "a later test failed", true},
		"a later test of another profile passed": {func(w *workshop) {
			w.measured = w.record(func(c *order.Commissioning) { c.Profile = order.Digest([]byte("another")) })
		}, guard.CommissionValid, "tested", true},
		"what was measured last is damaged": {func(w *workshop) { w.measured = []byte("{") }, guard.CommissionRefused, "damaged", true},
		"a test failed that no record tells of": {func(w *workshop) {
			w.failed = "stop failed"
		}, guard.CommissionWorse, "stop failed", true},
		"signed although it failed": {func(w *workshop) { w.signed = w.sign(w.record(fail), w.tara) }, guard.CommissionWorse, "not enough", true},
		"something not measured": {func(w *workshop) {
			w.signed = w.sign(w.record(func(c *order.Commissioning) {
				c.Items[1] = order.CommissioningItem{Name: "rung.relay", Result: order.ItemNotMeasured, Text: "nobody drove"}
			}), w.tara)
		}, guard.CommissionWorse, "rung.relay not-measured", true},
		"by a safety engineer":        {func(w *workshop) { w.signed = w.sign(w.record(nil), w.sven) }, guard.CommissionRefused, "does not count", true},
		"of another robot":            {func(w *workshop) { w.robot = "acme/other" }, guard.CommissionRefused, "this robot is acme/other", true},
		"for another profile":         {func(w *workshop) { w.profile = order.Digest([]byte("another")) }, guard.CommissionRefused, "another profile", true},
		"from the future":             {func(w *workshop) { w.now.Civil = noon.Add(-time.Minute) }, guard.CommissionRefused, "from the future", true},
		"overdue":                     {func(w *workshop) { w.now.Civil = noon.Add(w.every) }, guard.CommissionOverdue, "overdue", true},
		"overdue, perhaps":            {func(w *workshop) { w.now.Civil = noon.Add(w.every - time.Second) }, guard.CommissionOverdue, "overdue", true},
		"due in two seconds":          {func(w *workshop) { w.now.Civil = noon.Add(w.every - 2*time.Second) }, guard.CommissionValid, "tested", true},
		"the profile wants it sooner": {func(w *workshop) { w.every = 24 * time.Hour; w.now.Civil = noon.Add(25 * time.Hour) }, guard.CommissionOverdue, "overdue", true},
		"a clock that nobody trusts":  {func(w *workshop) { w.now.Trust = order.Untrusted }, guard.CommissionDueUnknown, "not trusted", true},
		"half of it":                  {func(w *workshop) { w.signed = w.signed[:len(w.signed)/2] }, guard.CommissionRefused, "does not count", true},
		"nothing in it":               {func(w *workshop) { w.signed = []byte{} }, guard.CommissionRefused, "does not count", true},
		"a file that cannot be read":  {func(w *workshop) { w.unreadable = errors.New("disk") }, guard.CommissionRefused, "disk", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			w.signed = w.sign(w.record(nil), w.tara)
			if c.edit != nil {
				c.edit(w)
			}
			const boot = 5 * time.Hour
			got, s := w.look(w.verify, w.now, boot)
			if got.State != c.want || !strings.Contains(s.Text, c.says) {
				t.Errorf("%s, %q: expected %s, %q", got.State, s.Text, c.want, c.says)
			}
			if (s.State == "not-demanded") == c.demanded {
				t.Errorf("state %q", s.State)
			}
			if valid := got.State == guard.CommissionValid; valid != (got.Until > boot) {
				t.Errorf("%s until %v", got.State, got.Until)
			}
		})
	}
}

// TestOnlyWhatWasMeasuredIsInstalled offers records that somebody has changed, and looks at what is on disk.
func TestOnlyWhatWasMeasuredIsInstalled(t *testing.T) {
	w := newWorkshop(t)
	measured := w.record(nil)
	if err := w.keep(measured); err != nil {
		t.Fatal(err)
	}
	for name, envelope := range map[string][]byte{
		"better than measured": w.sign(w.record(func(c *order.Commissioning) { c.Items[0].Value = 2 }), w.tara),
		"due later":            w.sign(w.record(func(c *order.Commissioning) { c.Due = c.Due.Add(24 * time.Hour) }), w.tara),
		"by an engineer":       w.sign(measured, w.sven),
		"garbage":              []byte("{}"),
		"nothing":              nil,
	} {
		if err := w.install(w.verify, w.now, envelope); err == nil || w.signed != nil {
			t.Errorf("%s: installed", name)
		}
	}
	if err := w.install(w.verify, w.now, w.sign(measured, w.tara)); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(w.state.path, recordFile))
	if err != nil || !bytes.Equal(stored, w.signed) {
		t.Errorf("on disk: %v", err)
	}
	// A power cut leaves a half-written file beside the record, which nobody reads.
	if err := os.WriteFile(filepath.Join(w.state.path, recordNew), stored[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := w.state.dir.ReadFile(recordFile); err != nil || !bytes.Equal(data, stored) {
		t.Errorf("after a power cut: %v", err)
	}
	failed := w.record(func(c *order.Commissioning) { c.Items[0].Result = order.ItemFailed })
	if err := w.keep(failed); err != nil {
		t.Fatal(err)
	}
	if err := w.install(w.verify, w.now, w.sign(failed, w.tara)); err == nil {
		t.Error("a robot that failed was installed as one that passed")
	}
}

// TestAFailureEndsARecordForGood lets a robot with a valid record fail, and then tries everything that could bring the record
// back but a test that is passed and signed.
func TestAFailureEndsARecordForGood(t *testing.T) {
	fail := func(c *order.Commissioning) { c.Items[0].Result = order.ItemFailed }
	for name, c := range map[string]struct {
		full bool
		do   func(w *workshop) error
		want guard.CommissionState // of the next start
	}{
		"nothing failed (off)":        {false, func(*workshop) error { return nil }, guard.CommissionValid},
		"it is stored":                {false, func(w *workshop) error { return w.keep(w.record(fail)) }, guard.CommissionWorse},
		"the disk takes nothing":      {true, func(w *workshop) error { return w.keep(w.record(fail)) }, guard.CommissionMissing},
		"no record can be made of it": {true, func(w *workshop) error { return w.fail("stop failed") }, guard.CommissionMissing},
		"another profile was tested since": {false, func(w *workshop) error {
			err := w.keep(w.record(fail))
			return errors.Join(err, w.keep(w.record(func(c *order.Commissioning) { c.Profile = order.Digest([]byte("another")) })))
		}, guard.CommissionMissing},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			old := w.record(nil)
			envelope := w.sign(old, w.tara)
			if err := errors.Join(w.keep(old), w.install(w.verify, w.now, envelope)); err != nil {
				t.Fatal(err)
			}
			if c.full {
				if err := os.Mkdir(filepath.Join(w.state.path, measuredNew), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			off := c.want == guard.CommissionValid
			if err := c.do(w); err != nil && !c.full {
				t.Fatal(err)
			}
			if got, s := w.look(w.verify, w.now, time.Hour); (got.State == guard.CommissionValid) != off {
				t.Errorf("%s, %s", got.State, s.Text)
			}
			next := &proofs{robot: w.robot, profile: w.profile, every: w.every, state: w.state}
			next.read()
			if got, s := next.look(w.verify, w.now, time.Hour); got.State != c.want {
				t.Errorf("after a restart: %s, %s: expected %s", got.State, s.Text, c.want)
			}
			for what, p := range map[string]*proofs{"this guard": w.proofs, "the next": next} {
				if err := p.install(w.verify, w.now, envelope); (err == nil) != off {
					t.Errorf("%s takes the old record again: %v", what, err)
				}
			}
		})
	}
}

// TestSchemaOfTheRecord compares the JSON Schema with what is written.
func TestSchemaOfTheRecord(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "configs", "commissioning-record.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("record.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("record.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text []byte) error {
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	w := newWorkshop(t)
	good := w.record(func(c *order.Commissioning) {
		c.Items = append(c.Items, order.CommissioningItem{Name: "input.estop", Result: order.ItemNotMeasured, Text: "not done"})
	})
	if err := valid(good); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{
		{`"robot"`, `"fine":true,"robot"`},
		{`"passed"`, `"fine"`},
		{`"value":0.81`, `"value":-1`},
		{`"speed_mps":0.5`, `"speed_mps":0`},
		{`2026-11-22T12:00:00Z`, `yesterday`},
		{`"name":"rung.lock"`, `"name":"RUNG"`},
	} {
		bad := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(bad, good) || valid(bad) == nil {
			t.Errorf("%s: the schema takes it", change[1])
		}
		if _, err := order.DecodeCommissioning(bad); err == nil {
			t.Errorf("%s: the decoder takes it", change[1])
		}
	}
}

// FuzzStoredRecord gives a start whatever lies in the state directory: nothing but a technician's signature makes it valid.
func FuzzStoredRecord(f *testing.F) {
	w := newWorkshop(f)
	good := w.sign(w.record(nil), w.tara)
	f.Add(good, w.record(nil))
	f.Add([]byte("{}"), []byte("{}"))
	f.Add(good[:len(good)-2], []byte{0})
	f.Fuzz(func(t *testing.T, signed, measured []byte) {
		p := &proofs{robot: w.robot, profile: w.profile, every: w.every, signed: signed, measured: measured}
		got, s := p.look(w.verify, w.now, time.Hour)
		if got.State != guard.CommissionValid {
			return
		}
		payload, _, err := w.verify.VerifyDocument(w.now, order.CommissioningType, order.RoleTechnician, signed)
		if rec, derr := order.DecodeCommissioning(payload); err != nil || derr != nil || !rec.Enough() || s.By == "" {
			t.Errorf("valid, although %v, %v", err, derr)
		}
	})
}

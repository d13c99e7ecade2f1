package order_test

import (
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

func TestRevocations(t *testing.T) {
	good := order.Revocation{Role: "robot", Name: robot, Before: noon, Reason: "stolen from ward 3"}
	text, err := good.Encode()
	if err != nil || string(text) != `{"role":"robot","name":"unitree/g1-0007","before":"2026-11-22T12:00:00Z","reason":"stolen from ward 3"}` {
		t.Fatalf("%s, %v", text, err)
	}
	if back, err := order.DecodeRevocation(text); err != nil || *back != good {
		t.Errorf("%+v, %v", back, err)
	}
	for name, change := range map[string]func(*order.Revocation){
		"role": func(r *order.Revocation) { r.Role = "Robot" }, "no role": func(r *order.Revocation) { r.Role = "" }, "name": func(r *order.Revocation) { r.Name = "a b" },
		"no name": func(r *order.Revocation) { r.Name = "" }, "a path": func(r *order.Revocation) { r.Name = "a/b/c" }, "reason": func(r *order.Revocation) { r.Reason = "" },
		"lines": func(r *order.Revocation) { r.Reason = "a\nb" }, "half a second": func(r *order.Revocation) { r.Before = noon.Add(time.Millisecond) },
		"no moment": func(r *order.Revocation) { r.Before = time.Time{} },
	} {
		r := good
		change(&r)
		if out, err := r.Encode(); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	for name, change := range map[string][2]string{
		"an unknown key": {`"role"`, `"x":1,"role"`}, "a key twice": {`"role"`, `"role":"robot","role"`}, "no role": {`"role":"robot",`, ``},
		"another type": {`"stolen from ward 3"`, `1`}, "another time": {"12:00:00Z", "12:00:00+01:00"},
	} {
		if r, err := order.DecodeRevocation([]byte(strings.Replace(string(text), change[0], change[1], 1))); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func FuzzDecodeRevocation(f *testing.F) {
	f.Add([]byte(`{"role":"robot","name":"unitree/g1-0007","before":"2026-11-22T12:00:00Z","reason":"stolen"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := order.DecodeRevocation(payload)
		if err != nil {
			return
		}
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := order.DecodeRevocation(text); err != nil || *again != *r {
			t.Fatalf("%+v, %v", again, err)
		}
	})
}

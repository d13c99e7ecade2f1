package identity

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

func TestApproval(t *testing.T) {
	key := newKey(t)
	by := tpm.Approver{Key: &key.PublicKey, Scope: "unitree/g1-0007"}
	pcrs := map[int][32]byte{7: {1}, 14: {2}}
	now := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	good, err := SignApproval(key, by.Scope, "release 2026.12", now, pcrs)
	if err != nil {
		t.Fatal(err)
	}
	a, err := OpenApproval(good, by)
	if err != nil || a.Reason != "release 2026.12" || !a.Issued.Equal(now) || a.State.PCRs[14] != pcrs[14] {
		t.Fatalf("%+v, %v", a, err)
	}
	stranger := newKey(t)
	resign := func(change func(w map[string]any)) []byte {
		payload, err := order.OpenDocument(ApprovalType, &key.PublicKey, good)
		w := map[string]any{}
		if err != nil || json.Unmarshal(payload, &w) != nil {
			t.Fatal(err)
		}
		change(w)
		if payload, err = json.Marshal(w); err != nil {
			t.Fatal(err)
		}
		out, err := order.SignDocument(ApprovalType, payload, key)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		envelope []byte
		by       tpm.Approver
		says     string
	}{
		"another approver":         {good, tpm.Approver{Key: &stranger.PublicKey, Scope: by.Scope}, "key"},
		"another robot":            {good, tpm.Approver{Key: &key.PublicKey, Scope: "unitree/g1-0008"}, "scope"},
		"a class of that name":     {good, tpm.Approver{Key: &key.PublicKey, Scope: "unitree.g1-0007"}, "scope"},
		"a scope that is claimed":  {resign(func(w map[string]any) { w["scope"] = "g1" }), tpm.Approver{Key: &key.PublicKey, Scope: "g1"}, "not the approver's"},
		"another value":            {resign(func(w map[string]any) { w["pcrs"] = map[string]string{"7": strings.Repeat("00", 32)} }), by, "not the approver's"},
		"a number with a zero":     {resign(func(w map[string]any) { w["pcrs"] = map[string]string{"07": strings.Repeat("00", 32)} }), by, "pcrs"},
		"no number":                {resign(func(w map[string]any) { w["pcrs"] = map[string]string{"x": strings.Repeat("00", 32)} }), by, "pcrs"},
		"a register out of range":  {resign(func(w map[string]any) { w["pcrs"] = map[string]string{"24": strings.Repeat("00", 32)} }), by, "24"},
		"a debug register":         {resign(func(w map[string]any) { w["pcrs"] = map[string]string{"16": strings.Repeat("00", 32)} }), by, "16"},
		"an application's":         {resign(func(w map[string]any) { w["pcrs"] = map[string]string{"23": strings.Repeat("00", 32)} }), by, "23"},
		"no register":              {resign(func(w map[string]any) { w["pcrs"] = map[string]string{} }), by, "approval"},
		"no reason":                {resign(func(w map[string]any) { delete(w, "reason") }), by, "why"},
		"an unknown key":           {resign(func(w map[string]any) { w["until"] = 1 }), by, "until"},
		"signed as something else": {bytes.ReplaceAll(good, []byte("state-approval"), []byte("state-approvam")), by, "payload type"},
		"nothing":                  {nil, by, "approval"},
		"too much":                 {make([]byte, MaxApproval+1), by, "at most"},
	} {
		if a, err := OpenApproval(c.envelope, c.by); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v: expected %q", name, a, err, c.says)
		}
	}
	for name, f := range map[string]func() error{
		"no reason": func() error { _, err := SignApproval(key, by.Scope, "", now, pcrs); return err },
		"no scope":  func() error { _, err := SignApproval(key, "", "x", now, pcrs); return err },
		"debug": func() error {
			_, err := SignApproval(key, by.Scope, "x", now, map[int][32]byte{7: {1}, 16: {}})
			return err
		},
		"app":     func() error { _, err := SignApproval(key, by.Scope, "x", now, map[int][32]byte{23: {}}); return err },
		"no pcrs": func() error { _, err := SignApproval(key, by.Scope, "x", now, nil); return err },
	} {
		if f() == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

package evidence_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

func hello() *evidence.Hello {
	return &evidence.Hello{
		Robot: robot, BootID: bootID, GuardNonce: guardNonce, Logs: map[string]string{"firmware": sum("log")},
		Tier: order.TierTPM, AKName: "000b" + sum("ak"), KeyID: "SHA256:" + strings.Repeat("A", 43),
	}
}

func TestHello(t *testing.T) {
	data, err := json.Marshal(hello())
	if err != nil {
		t.Fatal(err)
	}
	var back evidence.Hello
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	back.Robot, back.Tier = robot, order.TierTPM // The message around it names them.
	if diff := cmp.Diff(hello(), &back); diff != "" || back.Validate() != nil {
		t.Error(diff, back.Validate())
	}
	for name, change := range map[string]func(*evidence.Hello){
		"robot":              func(h *evidence.Hello) { h.Robot = "" },
		"boot":               func(h *evidence.Hello) { h.BootID = "x" },
		"guard's nonce":      func(h *evidence.Hello) { h.GuardNonce = "XY" },
		"tier":               func(h *evidence.Hello) { h.Tier = "" },
		"TPM without an AK":  func(h *evidence.Hello) { h.AKName = "" },
		"AK without a TPM":   func(h *evidence.Hello) { h.Tier = order.TierSoftwareKey },
		"AK no digits":       func(h *evidence.Hello) { h.AKName = "0xyz" },
		"key id long":        func(h *evidence.Hello) { h.KeyID = strings.Repeat("x", 65) },
		"log name":           func(h *evidence.Hello) { h.Logs = map[string]string{"a/b": sum("x")} },
		"log digest":         func(h *evidence.Hello) { h.Logs["firmware"] = "" },
		"more logs than may": func(h *evidence.Hello) { h.Logs = many(evidence.MaxLogs + 1) },
	} {
		h := hello()
		change(h)
		if h.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func many(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[strings.Repeat("x", i+1)] = sum("x")
	}
	return out
}

func TestIdentity(t *testing.T) {
	key := newKey(t)
	for _, want := range []*evidence.Identity{
		{Robot: robot, Tier: order.TierTPM, AK: []byte("public area"), Key: key.Public()},
		{Robot: robot, Tier: order.TierSoftwareKey, Key: key.Public()},
	} {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got evidence.Identity
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if got.Robot != robot || got.Tier != want.Tier || string(got.AK) != string(want.AK) || !key.PublicKey.Equal(got.Key) {
			t.Errorf("got %+v", got)
		}
		for name, bad := range map[string]string{
			"another tier": strings.NewReplacer(`"software-key"`, `"tpm"`, `"tpm"`, `"software-key"`).Replace(string(data)),
			"no robot":     strings.Replace(string(data), robot, "x", 1),
			"unknown key":  strings.Replace(string(data), "{", `{"note":1,`, 1),
			"a key twice":  strings.Replace(string(data), "{", `{"Robot":"a/b",`, 1),
			"no key":       strings.Replace(string(data), "BEGIN PUBLIC KEY", "BEGIN KEY", 1),
			"too long":     strings.Replace(string(data), "{", "{"+strings.Repeat(" ", 20<<10), 1),
		} {
			// json.Unmarshal drops white space before a type's own reader sees it, so that is called itself.
			if err := new(evidence.Identity).UnmarshalJSON([]byte(bad)); err == nil {
				t.Errorf("%s: accepted %s", name, bad)
			}
		}
	}
	if _, err := json.Marshal(&evidence.Identity{Robot: robot, Tier: order.TierTPM, Key: key.Public()}); err == nil {
		t.Error("a TPM without an attestation key was written")
	}
}

func TestDigest(t *testing.T) {
	if got, err := evidence.Digest("sha256:" + sum("x")); err != nil || got != sum("x") {
		t.Error(got, err)
	}
	if got, err := evidence.Digest(""); err != nil || got != "" {
		t.Error(got, err)
	}
	for _, bad := range []string{sum("x"), "sha256:", "sha256:" + strings.ToUpper(sum("x")), "sha512:" + sum("x")} {
		if _, err := evidence.Digest(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

package attest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/order"
)

func TestSubjectsOfTopics(t *testing.T) {
	for topicName, want := range map[string]string{
		"site/robots/v1/+/+/attestation/hello":                "site.robots.v1.*.*.attestation.hello",
		"site/robots/v1/acme/runner-1.2/attestation/hello":    "site.robots.v1.acme.runner-1//2.attestation.hello",
		"site/robots/v1/acme/..a:b_c-d./attestation/evidence": "site.robots.v1.acme.////a:b_c-d//.attestation.evidence",
	} {
		if got := subject(topicName); got != want {
			t.Errorf("%s: %s, want %s", topicName, got, want)
		}
	}
	for _, s := range []string{"a.*.b", "a.>", "a./.b", "/a", "a///b", "a.b/", "a.+.b", "a.#"} {
		if got, ok := topic(s); ok && strings.ContainsAny(got, "+#*>") && !strings.ContainsAny(s, "*>") {
			t.Errorf("%s: %s", s, got)
		}
		if got, ok := topic(s); ok && subject(got) != s {
			t.Errorf("%s: %s, which is %s", s, got, subject(got))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		robot := rapid.StringMatching(`[a-zA-Z0-9_.:-]{1,64}/[a-zA-Z0-9_.:-]{1,64}`).Draw(rt, "robot")
		if !order.IsRobotID(robot) {
			rt.Fatal("no robot id")
		}
		want := prefix + "/v1/" + robot + "/attestation/hello"
		if got, ok := topic(subject(want)); !ok || got != want {
			rt.Fatalf("%s comes back as %s", want, got)
		}
	})
}

func TestAddresses(t *testing.T) {
	if got, err := addresses("tls://a.example:4222,tls://127.0.0.1:4223"); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
	for _, list := range []string{"", "a:4222", "nats://a:4222", "tls://a", "tls://:4222", "tls://me:secret@a:4222", "tls://a:4222,"} {
		if got, err := addresses(list); err == nil {
			t.Errorf("%q: %v", list, got)
		}
	}
}

package attest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/token"
)

// TestVerifyToken checks one as a service would: good, and each thing that it may be wrong for.
func TestVerifyToken(t *testing.T) {
	dir := t.TempDir()
	key, other := must(order.GenerateKey(order.ECDSAP256))(t), must(order.GenerateKey(order.ECDSAP256))(t)
	const kid = "tpm:SHA256:abc"
	jwk := write(t, dir, "robot.jwk", must(json.Marshal(must(token.PublicJWK(key.Public(), kid))(t)))(t), 0o600)
	stranger := write(t, dir, "other.jwk", must(json.Marshal(must(token.PublicJWK(other.Public(), kid))(t)))(t), 0o600)
	make := func(age time.Duration) string {
		from := time.Now().Add(-age)
		return must(token.Sign(&token.Claims{
			Issuer: robot, Subject: "planner", Audience: "fleet", Role: "telemetry", IssuedAt: from.Unix(), Expires: from.Add(5 * time.Minute).Unix(),
			ID: order.NewID(), BootID: bootID, Attestation: sum("result"),
		}, kid, key))(t)
	}
	fresh, old := make(0), make(time.Hour)
	good := write(t, dir, "token.jwt", []byte(fresh+"\n"), 0o600)
	late := write(t, dir, "late.jwt", []byte(old), 0o600)
	forged := write(t, dir, "forged.jwt", []byte(fresh[:len(fresh)-4]+"AAAA"), 0o600)
	huge := write(t, dir, "huge.jwt", []byte(strings.Repeat("x", token.MaxToken+2)), 0o600)
	flags := "--jwk " + jwk + " --robot " + robot + " --audience fleet --role telemetry"
	for name, x := range map[string]struct {
		args, want string
		code       int
	}{
		"good":               {good + " " + flags, "planner", 0},
		"good, as JSON":      {good + " --output json " + flags, `"sub":"planner"`, 0},
		"too old":            {late + " " + flags, "expired", answer.No},
		"forged":             {forged + " " + flags, "signature", answer.No},
		"too long":           {huge + " " + flags, "more than", answer.No},
		"another's key":      {good + " " + strings.Replace(flags, jwk, stranger, 1), "signature", answer.No},
		"another robot":      {good + " " + strings.Replace(flags, robot, "acme/7", 1), robot, answer.No},
		"another audience":   {good + " " + strings.Replace(flags, "fleet", "lift", 1), "lift", answer.No},
		"another role":       {good + " " + strings.Replace(flags, "telemetry", "maps", 1), "maps", answer.No},
		"a key that is none": {good + " " + strings.Replace(flags, jwk, good, 1), "key of tokens", answer.No},
		"no audience":        {good + " --jwk " + jwk + " --robot " + robot, "--audience", answer.Misused},
		"no file":            {flags, "arg", answer.Misused},
		"another language":   {good + " --output xml " + flags, "xml", answer.Misused},
	} {
		out, err := station(t.Context(), NewVerify(), append([]string{"token"}, strings.Fields(x.args)...)...)
		code := 0
		if err != nil {
			code = answer.No
			var coded interface{ ExitCode() int }
			if errors.As(err, &coded) {
				code = coded.ExitCode()
			}
			out += err.Error()
		}
		if code != x.code || !strings.Contains(out, x.want) {
			t.Errorf("%s: ends with %d, %s; want %d, %q", name, code, out, x.code, x.want)
		}
	}
	cmd := NewVerify()
	cmd.SetIn(strings.NewReader(fresh))
	if out, err := station(t.Context(), cmd, append([]string{"token", "-"}, strings.Fields(flags)...)...); err != nil {
		t.Errorf("from standard input: %v %s", err, out)
	}
}

package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/token"
)

// tokensSection lets this very program have tokens for the audience fleet.
func (s *site) tokensSection(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf(`tokens:
  socket: tokens.sock
  callers_socket: callers.sock
  programs: [{name: planner, uid: %d, exe_sha256: [%s], per_minute: 120, grants: [{audience: fleet, roles: [telemetry]}]}]
`, os.Getuid(), s.fileSum(t, "/proc/self/exe"))
}

// askToken asks the courier, once.
func (s *site) askToken(request string) (text, refused string, err error) {
	c, err := net.Dial("unix", s.path("tokens.sock"))
	if err != nil {
		return "", "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", "", err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return "", "", err
	}
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return "", "", err
	}
	var a struct{ Token, Refused string }
	err = json.Unmarshal(line, &a)
	return a.Token, a.Refused, err
}

// token waits for a token from the roles behind their walls, and checks it with the key that the robot prints.
func (w *whole) token(t testing.TB, jwk string) string {
	t.Helper()
	var text, refused string
	var err error
	until(t, 30*time.Second, "a token", func() bool {
		text, refused, err = w.site.askToken("token fleet telemetry\n")
		return err == nil && text != ""
	})
	if t.Failed() {
		t.Fatalf("refused %q, %v", refused, err)
	}
	var k token.JWK
	if err := json.Unmarshal([]byte(jwk), &k); err != nil {
		t.Fatal(err)
	}
	point := []byte{4}
	for _, part := range []string{k.X, k.Y} {
		point = append(point, must(base64.RawURLEncoding.DecodeString(part))(t)...)
	}
	key := must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point))(t)
	claims, err := token.Verify(text, key, token.Expect{Issuer: robotID, Audience: "fleet", KeyID: k.KeyID, Now: time.Now(), Leeway: time.Second})
	if err != nil || claims.Subject != "planner" || claims.Role != "telemetry" {
		t.Fatalf("%+v, %v", claims, err)
	}
	if _, refused, err := w.site.askToken("token fleet commander\n"); err != nil || refused != "grant" {
		t.Errorf("a role without a grant: refused %q, %v", refused, err)
	}
	return claims.ID
}

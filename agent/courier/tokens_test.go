package courier

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/internal/callers"
	"github.com/robowarden/robowarden/agent/steward"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/token"
)

const testExe = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// tokenConfig lets this test's own process have tokens.
func tokenConfig(socket string) *config.Tokens {
	return &config.Tokens{Socket: socket, CallersSocket: socket + "c", Life: 5 * time.Minute, Programs: []config.TokenProgram{{
		Name: "planner", UID: os.Getuid(), ExeSHA256: []string{testExe}, PerMinute: 120,
		Grants: []config.TokenGrant{{Audience: "fleet", Roles: []string{"telemetry", "maps"}}},
	}}}
}

// movedClock is the machine's, put forward at will.
type movedClock struct {
	testClock
	ahead     atomic.Int64
	untrusted atomic.Bool
}

func (c *movedClock) Boot() time.Duration { return c.testClock.Boot() + time.Duration(c.ahead.Load()) }

func (c *movedClock) Civil() (time.Time, string) {
	now, trust := c.testClock.Civil()
	if c.untrusted.Load() {
		trust = TimeUntrusted
	}
	return now.Add(time.Duration(c.ahead.Load())), trust
}

// hookedKey does something before it signs.
type hookedKey struct {
	crypto.Signer
	before func()
}

func (k *hookedKey) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if k.before != nil {
		k.before()
	}
	return k.Signer.Sign(r, digest, o)
}

// tokenRig is the service on a loop that does nothing else: an attested robot whose steward knows this process.
type tokenRig struct {
	*testing.T
	l     *loop
	t     *tokens
	clock *movedClock
	key   *hookedKey
	who   func(n int64) (callers.Caller, error) // n counts looks from 1
	looks atomic.Int64
	// running is set once the loop turns.
	running bool
}

func planner() callers.Caller {
	return callers.Caller{PID: os.Getpid(), Start: 7, UID: os.Getuid(), Exe: "/opt/planner", ExeSHA256: testExe, Unit: "planner.service"}
}

func newTokenRig(t *testing.T) *tokenRig {
	t.Helper()
	dir, err := os.MkdirTemp("", "tok")
	if err != nil {
		t.Fatal(err)
	}
	r := &tokenRig{T: t, clock: &movedClock{}, who: func(int64) (callers.Caller, error) { return planner(), nil }}
	c, err := New(Options{
		Config: &config.Deployment{
			Courier: &config.Courier{Broker: "tls://127.0.0.1:1", StateDir: filepath.Join(dir, "state"), BandwidthKiBPS: 64},
			Tokens:  tokenConfig(filepath.Join(dir, "s")),
		},
		Version: "test", Clock: r.clock, NewLog: func(string, string) zerolog.Logger { return zerolog.Nop() },
	})
	if err != nil || c.tokens == nil {
		t.Fatalf("%v, %v", err, c.startup)
	}
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	r.l, r.t, r.key = newLoop(c), c.tokens, &hookedKey{Signer: key}
	r.t.who = func(context.Context, *net.UnixConn) (callers.Caller, error) { return r.who(r.looks.Add(1)) }
	r.t.patience = tokenPatience{whole: 20 * time.Second, request: 10 * time.Second}
	r.l.identity.Store(&identity{key: r.key, keyID: "abc", tier: order.TierSoftwareKey})
	r.l.welcome = &contract.Welcome{Robot: testRobot, BootID: "5e1c0a2e-0000-4000-8000-000000000001"}
	r.attest(time.Hour, "aa")
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return r
}

// start lets it run; what a test changes about the service, it changes before.
func (r *tokenRig) start() {
	c := r.l.c
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 4)
	for _, f := range []func(){
		func() { _ = c.journal.Run(ctx) }, func() { r.l.work(ctx) }, func() { r.l.giveTokens(ctx, r.t) }, func() { r.turn(ctx) },
	} {
		go func() { f(); ended <- struct{}{} }()
	}
	r.running = true
	r.Cleanup(func() {
		_ = c.journal.Close(context.Background())
		cancel()
		for range 4 {
			<-ended
		}
	})
}

// turn is what the loop does for the service.
func (r *tokenRig) turn(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-r.l.asked:
			f()
		case f := <-r.l.done:
			f()
		}
	}
}

// attest lets a result count for so long; before the loop turns, or on it.
func (r *tokenRig) attest(life time.Duration, result string) {
	r.l.session.accepted(r.l.clock.Boot(), life)
	r.l.result = strings.Repeat(result, 32)
}

// on runs f on the loop.
func (r *tokenRig) on(f func()) {
	if !r.running {
		f()
		return
	}
	if err := r.l.inspect(context.Background(), f); err != nil {
		r.Error(err)
	}
}

type tokenAnswer struct {
	Token   string
	Expires int64
	Refused string
	Text    string
}

// askToken sends text and reads one line.
func askToken(socket, text string) (tokenAnswer, error) {
	var a tokenAnswer
	c, err := net.Dial("unix", socket)
	if err != nil {
		return a, err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(longest)); err != nil {
		return a, err
	}
	if _, err := io.WriteString(c, text); err != nil {
		return a, err
	}
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(line, &a)
}

// ask asks as often as the pace of connections lets.
func (r *tokenRig) ask(text string) tokenAnswer {
	r.Helper()
	r.clock.ahead.Add(int64(connectEvery))
	a, err := askToken(r.t.cfg.Socket, text)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

const goodRequest = "token fleet telemetry\n"

func TestTokenSaysWhatIsTrue(t *testing.T) {
	r := newTokenRig(t)
	r.start()
	a := r.ask(goodRequest)
	if a.Refused != "" {
		t.Fatalf("%+v", a)
	}
	key, _ := r.key.Public().(*ecdsa.PublicKey)
	c, err := token.Verify(a.Token, key, token.Expect{Issuer: testRobot, Audience: "fleet", KeyID: "software-key:abc", Now: time.Now(), Leeway: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "planner" || c.Role != "telemetry" || c.Attestation != strings.Repeat("aa", 32) || c.BootID != r.l.welcome.BootID ||
		c.Expires-c.IssuedAt != 300 || c.Expires != a.Expires || len(c.ID) != 32 {
		t.Errorf("%+v", c)
	}
	if b := r.ask(goodRequest); b.Token == a.Token || b.Token == "" {
		t.Error("the same token twice")
	}
	r.on(func() { r.attest(40*time.Second, "bb") })
	a = r.ask(goodRequest)
	if c, err = token.Verify(a.Token, key, token.Expect{Issuer: testRobot, Audience: "fleet", KeyID: "software-key:abc", Now: time.Now(), Leeway: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if c.Expires-c.IssuedAt > 40 {
		t.Errorf("a token lives for %d s, the attestation for 40", c.Expires-c.IssuedAt)
	}
	if h := r.l.c.journal.Health(); h.RingUsed == 0 && h.DurableSeq == 0 {
		t.Error("nothing is recorded")
	}
}

// TestTokenRefused changes one thing at a time; the first case changes nothing and gets its token.
func TestTokenRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		change func(*tokenRig)
		want   string
	}{
		"nothing changed":   {},
		"another audience":  {text: "token vendor telemetry\n", want: RefusedGrant},
		"another role":      {text: "token fleet commander\n", want: RefusedGrant},
		"no line":           {text: strings.Repeat("x", maxRequest), want: RefusedRequest},
		"two lines":         {text: goodRequest + goodRequest, want: RefusedRequest},
		"another verb":      {text: "TOKEN fleet telemetry\n", want: RefusedRequest},
		"a line too long":   {text: "token fleet " + strings.Repeat("r", maxRequest) + "\n", want: RefusedRequest},
		"never a line":      {text: "token fleet", change: func(r *tokenRig) { r.t.patience.request = 50 * time.Millisecond }, want: RefusedRequest},
		"another program":   {change: caller(func(w *callers.Caller) { w.ExeSHA256 = strings.Repeat("0", 64) }), want: RefusedProgram},
		"another user":      {change: caller(func(w *callers.Caller) { w.UID++ }), want: RefusedProgram},
		"no user of ours":   {change: func(r *tokenRig) { r.t.cfg.Programs[0].UID++ }, want: RefusedProgram},
		"another unit":      {change: func(r *tokenRig) { r.t.cfg.Programs[0].Unit = "map.service" }, want: RefusedProgram},
		"the unit as well":  {change: func(r *tokenRig) { r.t.cfg.Programs[0].Unit = "planner.service" }},
		"a user alone":      {change: func(r *tokenRig) { r.t.cfg.Programs[0].ExeSHA256 = nil }, want: RefusedProgram},
		"nobody knows who":  {change: caller(func(w *callers.Caller) { *w = callers.Caller{Why: "traced"} }), want: RefusedCaller},
		"no steward":        {change: func(r *tokenRig) { r.who = func(int64) (callers.Caller, error) { return planner(), io.EOF } }, want: RefusedCaller},
		"exec after asking": {change: second(func(w *callers.Caller) { w.ExeSHA256 = strings.Repeat("0", 64) }), want: RefusedChanged},
		"another process":   {change: second(func(w *callers.Caller) { w.Start++ }), want: RefusedChanged},
		"gone":              {change: second(func(w *callers.Caller) { *w = callers.Caller{Why: "process-changed"} }), want: RefusedChanged},
		"never attested":    {change: func(r *tokenRig) { r.on(func() { r.l.session.reset() }) }, want: RefusedState},
		"refused":           {change: func(r *tokenRig) { r.on(func() { r.l.session.refused(r.l.clock.Boot(), "x") }) }, want: RefusedState},
		"expired":           {change: func(r *tokenRig) { r.clock.ahead.Add(int64(2 * time.Hour)) }, want: RefusedState},
		"expires at once":   {change: func(r *tokenRig) { r.on(func() { r.attest(500*time.Millisecond, "aa") }) }, want: RefusedState},
		"guard away":        {change: func(r *tokenRig) { r.on(func() { r.l.welcome = nil }) }, want: RefusedState},
		"clock untrusted":   {change: func(r *tokenRig) { r.clock.untrusted.Store(true) }, want: RefusedTime},
		"no key":            {change: func(r *tokenRig) { r.l.identity.Store(nil) }, want: RefusedKey},
		"expires meanwhile": {change: meanwhile(func(r *tokenRig) { r.clock.ahead.Add(int64(2 * time.Hour)) }), want: RefusedState},
		"refused meanwhile": {change: meanwhile(func(r *tokenRig) {
			r.on(func() { r.l.session.refused(r.l.clock.Boot(), "x") })
		}), want: RefusedState},
		"attested anew meanwhile": {change: meanwhile(func(r *tokenRig) { r.on(func() { r.attest(time.Hour, "bb") }) }), want: RefusedState},
		"nothing meanwhile":       {change: meanwhile(func(*tokenRig) {})},
		"a key that fails": {change: func(r *tokenRig) {
			r.on(func() { r.l.identity.Store(&identity{key: brokenKey{r.key}, keyID: "a", tier: order.TierTPM}) })
		}, want: RefusedKey},
		"too often": {change: func(r *tokenRig) {
			for range 120 {
				r.t.shares[0].take(r.t.now())
			}
		}, want: RefusedRate},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTokenRig(t)
			if c.change != nil {
				c.change(r)
			}
			r.start()
			text := c.text
			if text == "" {
				text = goodRequest
			}
			if a := r.ask(text); a.Refused != c.want || (a.Token == "") != (c.want != "") || c.want != "" && (a.Text == "" || a.Expires != 0) {
				t.Errorf("got %+v, want %q", a, c.want)
			}
		})
	}
}

// caller changes who asks, second who is there when the signature is.
func caller(change func(*callers.Caller)) func(*tokenRig) {
	return func(r *tokenRig) {
		r.who = func(int64) (callers.Caller, error) { w := planner(); change(&w); return w, nil }
	}
}

func second(change func(*callers.Caller)) func(*tokenRig) {
	return func(r *tokenRig) {
		r.who = func(n int64) (callers.Caller, error) {
			w := planner()
			if n > 1 {
				change(&w)
			}
			return w, nil
		}
	}
}

// meanwhile lets something happen while the key signs.
func meanwhile(f func(*tokenRig)) func(*tokenRig) {
	return func(r *tokenRig) { r.key.before = func() { f(r) } }
}

type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("the TPM is in lockout")
}

// TestTokenWhileTheTPMIsBusy: whoever waits is told, what waits for the key is bounded, and afterwards all is well.
func TestTokenWhileTheTPMIsBusy(t *testing.T) {
	r := newTokenRig(t)
	r.t.patience.whole = time.Second
	free := make(chan struct{})
	r.key.before = func() { <-free }
	r.start()
	answers := make(chan string, tokenClientsEach)
	for range cap(answers) {
		go func() {
			a, err := askToken(r.t.cfg.Socket, goodRequest)
			answers <- fmt.Sprint(a.Refused, a.Token, err)
		}()
	}
	for range cap(answers) {
		// Some do not even get as far as an answer.
		if a := <-answers; a != RefusedKey+"<nil>" && !strings.HasSuffix(a, "EOF") {
			t.Errorf("got %s", a)
		}
	}
	if n := len(r.l.jobs); n > tokenSigning {
		t.Errorf("%d jobs wait for the key", n)
	}
	close(free)
	until(t, "a token afterwards", func() bool { return r.ask(goodRequest).Token != "" })
}

// TestTokenCrowd: one user takes no more than his share of connections, and records are bounded.
func TestTokenCrowd(t *testing.T) {
	r := newTokenRig(t)
	r.t.patience = tokenPatience{whole: longest, request: longest}
	r.start()
	var held []net.Conn
	for len(held) < 500 {
		c, err := net.Dial("unix", r.t.cfg.Socket)
		if errors.Is(err, syscall.EAGAIN) {
			continue // as many as may are waiting to be accepted
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	if _, err := held[len(held)-1].Read(make([]byte, 1)); err == nil {
		t.Error("the last one hears something")
	}
	// Each of them is looked at by itself, so the last one may be the first to hear that.
	until(t, "all but a few are refused", func() bool {
		r.t.mu.Lock()
		defer r.t.mu.Unlock()
		return r.t.users[os.Getuid()].open == tokenClientsEach && r.t.refused == uint64(len(held)-tokenClientsEach)
	})
	r.t.mu.Lock()
	refused, suppressed := r.t.refused, r.t.suppressed
	r.t.mu.Unlock()
	if suppressed < refused-2*noteBurst {
		t.Errorf("%d were refused, %d of them without a record", refused, suppressed)
	}
	for _, c := range held {
		_ = c.Close()
	}
	until(t, "all have left", func() bool {
		r.t.mu.Lock()
		defer r.t.mu.Unlock()
		return r.t.users[os.Getuid()].open == 0
	})
	r.clock.ahead.Add(int64(10 * time.Second))
	if a := r.ask(goodRequest); a.Token == "" {
		t.Errorf("afterwards: %+v", a)
	}
}

// TestTokenStrangersAreOne: users without a program share what one user has, however many they are.
func TestTokenStrangersAreOne(t *testing.T) {
	r := newTokenRig(t)
	in := 0
	for uid := range 1000 {
		if _, ok := r.t.enter(os.Getuid() + 1 + uid); ok {
			in++
		}
	}
	if _, ok := r.t.enter(os.Getuid()); !ok || in != tokenClientsEach || len(r.t.users) != 2 {
		t.Errorf("%d strangers are in, %d users are known, ours is in: %v", in, len(r.t.users), ok)
	}
}

// TestTokenFromTheTPM goes the whole way: a software TPM, the verifier's result, the steward's word from the kernel.
func TestTokenFromTheTPM(t *testing.T) {
	w := newWorld(t)
	w.config.Courier.TPM, w.config.Courier.Key = newTPM(t), ""
	id, err := openIdentity(w.config.Courier, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer id.close()
	w.broker.ca.issue("robot", "acme:r1", id.key.Public(), longest)
	dir, err := os.MkdirTemp("", "tok")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := tokenConfig(filepath.Join(dir, "s"))
	cfg.Programs[0].ExeSHA256 = []string{(&proof{}).executable()}
	w.config.Tokens = cfg
	l, err := callers.Listen("unixpacket", cfg.CallersSocket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = callers.Serve(ctx, l, []int{os.Getuid()}, steward.Callers(), zerolog.Nop())
	}()
	defer func() { cancel(); <-served }()
	w.silent, w.pcrs = true, []int{0, 7, 14}
	w.guard.record(30)
	stop := w.run()
	var a tokenAnswer
	until(t, "a refusal", func() bool {
		a, err = askToken(cfg.Socket, goodRequest)
		return err == nil && a.Refused == RefusedState
	})
	w.with(func() { w.silent = false })
	until(t, "attested", func() bool { return w.noted(`"state":"attested"`) })
	until(t, "a token", func() bool {
		a, err = askToken(cfg.Socket, goodRequest) // as often as the pace of connections lets
		return err == nil && a.Token != ""
	})
	key, _ := id.key.Public().(*ecdsa.PublicKey)
	c, err := token.Verify(a.Token, key, token.Expect{Issuer: testRobot, Audience: "fleet", KeyID: "tpm:" + id.keyID, Now: time.Now(), Leeway: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if w.count(c.ID) != 1 || !w.noted(`"reason":"not-attested"`) {
		t.Errorf("the token %s has %d records; the refusals before it: %v", c.ID, w.count(c.ID), w.noted(`"reason":"not-attested"`))
	}
	w.check()
}

func FuzzTokenRequest(f *testing.F) {
	for _, s := range []string{goodRequest, "", "\n", "token a b", "token a b\r\n", "token  a b\n", strings.Repeat("t", 2*maxRequest), "token a\x00 b\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := strings.NewReader(text)
		r, err := readRequest(in)
		if read := len(text) - in.Len(); read > maxRequest {
			t.Errorf("%d bytes were read", read)
		}
		if err == nil && text != "token "+r.audience+" "+r.role+"\n" {
			t.Errorf("%q is taken as %+v", text, r)
		}
	})
}

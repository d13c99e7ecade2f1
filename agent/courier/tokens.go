package courier

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/callers"
	"github.com/robowarden/robowarden/attest/token"
)

// Why a program gets no token, as answers and records name it.
const (
	// RefusedBusy means that there are too many connections, of this user or of all.
	RefusedBusy = "too-many-connections"
	// RefusedRequest means that no line of the right form came in time.
	RefusedRequest = "request"
	// RefusedCaller means that it is not known who asks.
	RefusedCaller = "caller-unknown"
	// RefusedChanged means that who asks became another while he was answered.
	RefusedChanged = "caller-changed"
	// RefusedProgram means that this program gets no tokens.
	RefusedProgram = "program"
	// RefusedGrant means that it gets none for this audience and role.
	RefusedGrant = "grant"
	// RefusedRate means that it has had its share.
	RefusedRate = "rate"
	// RefusedState means that the robot is not attested, or was not any more when the signature was there.
	RefusedState = "not-attested"
	// RefusedTime means that nobody vouches for the clock, so that a token's end would mean nothing.
	RefusedTime = "time-untrusted"
	// RefusedKey means that the key did not sign, or not in time.
	RefusedKey = "key"
)

// Bounds of the service of tokens.
const (
	// maxRequest is the longest line that is read, its end included, in bytes.
	maxRequest = 1024
	// tokenClients bounds connections at one time, tokenClientsEach those of one user.
	tokenClients, tokenClientsEach = 16, 4
	// connectEvery and connectBurst pace one user's connections: what comes more often is closed unread.
	connectEvery, connectBurst = 100 * time.Millisecond, 20
	// strangers stands for all users that no program has: together they get what one user gets.
	strangers = -1
	// tokenSigning is how many tokens wait for the key at one time, so that they never crowd out the attestation.
	tokenSigning = 2
	// noteEvery and noteBurst pace records of refusals; those that are left out are counted in the next.
	noteEvery, noteBurst = 10 * time.Second, 20
)

// tokenPatience is how long one connection may last, and how much of it the request may take.
type tokenPatience struct{ whole, request time.Duration }

// tokens gives programs of the robot their tokens. It keeps nothing: after any end it starts from nothing.
type tokens struct {
	cfg      *config.Tokens
	listener *net.UnixListener
	patience tokenPatience
	// who says who has connected.
	who func(context.Context, *net.UnixConn) (callers.Caller, error)
	// now is the boot clock.
	now     func() time.Duration
	slots   chan struct{}
	signing chan struct{}
	// issued and refused count.
	mu              sync.Mutex
	users           map[int]*guest
	shares          []share // one for each program
	notes           share
	suppressed      uint64
	issued, refused uint64
}

// guest is one user's connections.
type guest struct {
	open int
	pace share
}

// share is a bucket: one more every so often, and some at once.
type share struct {
	every time.Duration
	burst float64
	level float64
	at    time.Duration
}

func newShare(now, every time.Duration, burst int) share {
	return share{every, float64(burst), float64(burst), now}
}

// take uses one up, if there is one.
func (s *share) take(now time.Duration) bool {
	s.level = min(s.burst, s.level+float64(max(0, now-s.at))/float64(s.every))
	s.at = now
	if s.level < 1 {
		return false
	}
	s.level--
	return true
}

// newTokens opens the socket, nil without the section. Its errors name the section.
func newTokens(d *config.Deployment, now func() time.Duration) (*tokens, error) {
	cfg := d.Tokens
	if cfg == nil {
		return nil, nil //nolint:nilnil // nothing to do is no error
	}
	account := ""
	if d.Users != nil {
		account = d.Users.Steward
	}
	stewards, err := callers.Accounts(account)
	if err != nil {
		return nil, fmt.Errorf("users.steward: %w", err)
	}
	l, err := callers.Listen("unix", cfg.Socket, 0o666)
	if err != nil {
		return nil, fmt.Errorf("tokens.socket: %w", err)
	}
	t := &tokens{
		cfg: cfg, listener: l, patience: tokenPatience{whole: 10 * time.Second, request: 2 * time.Second}, now: now,
		who: func(ctx context.Context, c *net.UnixConn) (callers.Caller, error) {
			return callers.Ask(ctx, cfg.CallersSocket, stewards, c)
		},
		slots: make(chan struct{}, tokenClients), signing: make(chan struct{}, tokenSigning),
		users: map[int]*guest{}, notes: newShare(now(), noteEvery, noteBurst),
	}
	for _, p := range cfg.Programs {
		t.shares = append(t.shares, newShare(now(), time.Minute/time.Duration(max(1, p.PerMinute)), p.PerMinute))
	}
	return t, nil
}

// enter lets a connection in, if there is room for it and for its user.
func (t *tokens) enter(uid int) (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.listed(uid) {
		uid = strangers
	}
	g := t.users[uid]
	if g == nil {
		g = &guest{pace: newShare(t.now(), connectEvery, connectBurst)}
		t.users[uid] = g
	}
	if !g.pace.take(t.now()) || g.open >= tokenClientsEach {
		return nil, false
	}
	select {
	case t.slots <- struct{}{}:
	default:
		return nil, false
	}
	g.open++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		g.open--
		<-t.slots
	}, true
}

// listed says whether any program has this user.
func (t *tokens) listed(uid int) bool {
	return slices.ContainsFunc(t.cfg.Programs, func(p config.TokenProgram) bool { return p.UID == uid })
}

// refusal is why there is no token: a code, and a text for people.
type refusal struct{ code, text string }

// Error implements error.
func (r *refusal) Error() string { return r.code + ": " + r.text }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// request is what a program asks for.
type request struct{ audience, role string }

// parseRequest understands one line, without its end.
func parseRequest(line string) (request, bool) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[0] != "token" || !isName(parts[1]) || !isName(parts[2]) {
		return request{}, false
	}
	return request{parts[1], parts[2]}, true
}

// isName says whether a deployment could have this name: "id" in its forms.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// readRequest reads one line, "token AUDIENCE ROLE", of at most [maxRequest] bytes, and nothing behind it.
func readRequest(r io.Reader) (request, error) {
	buf := make([]byte, 0, maxRequest)
	for len(buf) < maxRequest {
		n, err := r.Read(buf[len(buf):maxRequest])
		buf = buf[:len(buf)+n]
		if end := bytes.IndexByte(buf, '\n'); end >= 0 {
			req, ok := parseRequest(string(buf[:end]))
			if !ok || end != len(buf)-1 {
				return request{}, refuse(RefusedRequest, "expected one line: token AUDIENCE ROLE")
			}
			return req, nil
		}
		if err != nil {
			return request{}, refuse(RefusedRequest, "expected one line: token AUDIENCE ROLE; it did not come: %v", err)
		}
	}
	return request{}, refuse(RefusedRequest, "expected a line of at most %d bytes", maxRequest)
}

// program is the number of the program that a caller is, -1 for none.
func (t *tokens) program(c *callers.Caller) int {
	return slices.IndexFunc(t.cfg.Programs, func(p config.TokenProgram) bool {
		return p.UID == c.UID && (p.Unit != "" || len(p.ExeSHA256) > 0) && // a user alone is no program, whatever else was checked
			(p.Unit == "" || p.Unit == c.Unit) && (len(p.ExeSHA256) == 0 || slices.Contains(p.ExeSHA256, c.ExeSHA256))
	})
}

// permit says as which program a caller gets a token.
func (t *tokens) permit(c *callers.Caller, r request) (*config.TokenProgram, error) {
	i := t.program(c)
	if i < 0 {
		return nil, refuse(RefusedProgram, "no program under tokens.programs has user %d, unit %q and executable %s", c.UID, c.Unit, c.ExeSHA256)
	}
	p := &t.cfg.Programs[i]
	if !slices.ContainsFunc(p.Grants, func(g config.TokenGrant) bool { return g.Audience == r.audience && slices.Contains(g.Roles, r.role) }) {
		return nil, refuse(RefusedGrant, "%s has no grant for audience %s and role %s", p.Name, r.audience, r.role)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.shares[i].take(t.now()) {
		return nil, refuse(RefusedRate, "%s gets %d tokens a minute; ask again later, and keep a token for its life", p.Name, p.PerMinute)
	}
	return p, nil
}

// giveTokens answers programs until ctx ends.
func (l *loop) giveTokens(ctx context.Context, t *tokens) {
	defer context.AfterFunc(ctx, func() { _ = t.listener.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := t.listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return
		case err != nil:
			wake, stop := l.clock.After(tick) // descriptors may run out for a while
			select {
			case <-ctx.Done():
			case <-wake:
			}
			stop()
			continue
		}
		uid, pid, err := callers.User(c)
		leave, ok := func() {}, false
		if err == nil {
			leave, ok = t.enter(uid)
		}
		if !ok {
			_ = c.Close()
			l.refusedToken(t, &Token{Reason: RefusedBusy, UID: uid, PID: pid})
			continue
		}
		all.Go(func() {
			defer leave()
			defer func() { _ = c.Close() }()
			l.giveToken(ctx, t, c, uid, pid)
		})
	}
}

// giveToken answers one connection.
func (l *loop) giveToken(ctx context.Context, t *tokens, c *net.UnixConn, uid, pid int) {
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	ctx, cancel := context.WithTimeout(ctx, t.patience.whole)
	defer cancel()
	now := time.Now()
	// A second more to say that there was not time enough.
	if c.SetWriteDeadline(now.Add(t.patience.whole+time.Second)) != nil || c.SetReadDeadline(now.Add(t.patience.request)) != nil {
		return
	}
	note := &Token{UID: uid, PID: pid}
	text, err := l.tokenFor(ctx, t, c, note)
	answer := struct {
		Token   string `json:"token,omitempty"`
		Expires int64  `json:"expires,omitempty"`
		Refused string `json:"refused,omitempty"`
		Text    string `json:"text,omitempty"`
	}{Token: text}
	if err == nil {
		answer.Expires = note.Expires
	} else {
		var r *refusal
		if !errors.As(err, &r) {
			r = &refusal{RefusedKey, err.Error()}
		}
		note.Reason, note.Detail = r.code, clip(r.text)
		answer.Refused, answer.Text = r.code, clip(r.text)
		l.refusedToken(t, note)
	}
	out, err := json.Marshal(answer)
	if err == nil {
		_, _ = c.Write(append(out, '\n'))
	}
}

// tokenFor makes the token, or says why not. The note gets what is known; an issue is in the journal before this returns.
func (l *loop) tokenFor(ctx context.Context, t *tokens, c *net.UnixConn, note *Token) (string, error) {
	// Read in any case: who is hung up on with a line unread hears nothing of the reason.
	r, err := readRequest(c)
	if err != nil {
		return "", err
	}
	note.Audience, note.Role = r.audience, r.role
	if !t.listed(note.UID) {
		return "", refuse(RefusedProgram, "no program under tokens.programs has user %d", note.UID)
	}
	who, err := l.caller(ctx, t, c)
	if err != nil {
		return "", err
	}
	note.PID, note.Unit, note.Exe, note.ExeSHA256 = who.PID, who.Unit, clip(who.Exe), who.ExeSHA256
	p, err := t.permit(&who, r)
	if err != nil {
		return "", err
	}
	note.Subject = p.Name
	text, state, err := l.signToken(ctx, t, p.Name, r, note)
	if err != nil {
		return "", err
	}
	// What was true before the TPM had its time has to be true still.
	if again, err := l.caller(ctx, t, c); err != nil || again != who {
		return "", refuse(RefusedChanged, "the process is not what it was when it asked")
	}
	var late error
	if err := l.inspect(ctx, func() {
		now, err := l.tokenState()
		if late = err; late == nil && (now.att != state.att || now.boot != state.boot || now.robot != state.robot) {
			late = refuse(RefusedState, "the attestation has changed meanwhile; ask again")
		}
		if late == nil {
			note.Issued = true
			l.note(KindToken, note)
			l.log.Info().Str("program", p.Name).Str("audience", r.audience).Str("role", r.role).Str("jti", note.ID).Int("pid", note.PID).Msg("token issued")
		}
	}); err != nil {
		return "", refuse(RefusedState, "%v", err)
	}
	if late != nil {
		return "", late
	}
	t.mu.Lock()
	t.issued++
	t.mu.Unlock()
	return text, nil
}

// caller asks the steward.
func (l *loop) caller(ctx context.Context, t *tokens, c *net.UnixConn) (callers.Caller, error) {
	who, err := t.who(ctx, c)
	switch {
	case err != nil:
		return who, refuse(RefusedCaller, "the steward does not say who asks: %v", err)
	case who.Why != "":
		return who, refuse(RefusedCaller, "%s", who.Why)
	}
	return who, nil
}

// tokenState is what a token says about the robot.
type tokenState struct {
	robot, boot, att string
	civil            time.Time
	left             time.Duration // that the result counts
	id               *identity
}

// tokenState says what a token may say now; it is the loop's.
func (l *loop) tokenState() (tokenState, error) {
	now := l.clock.Boot()
	s := tokenState{att: l.result, left: l.session.until - now, id: l.identity.Load()}
	civil, trust := l.clock.Civil()
	switch s.civil = civil; {
	case l.welcome == nil:
		return s, refuse(RefusedState, "the guard is away, who says what counts")
	case !l.session.attested(now) || s.att == "":
		return s, refuse(RefusedState, "the robot's attestation is %s", l.session.state(now))
	case trust == TimeUntrusted:
		return s, refuse(RefusedTime, "no time service vouches for the clock")
	case s.id == nil:
		return s, refuse(RefusedKey, "there is no device key")
	case s.id.recovery != "":
		return s, refuse(RefusedKey, "the robot is in recovery, whose key signs no token")
	}
	s.robot, s.boot = l.welcome.Robot, l.welcome.BootID
	return s, nil
}

// signToken lets the key sign, behind whatever else it has to do.
func (l *loop) signToken(ctx context.Context, t *tokens, name string, r request, note *Token) (string, tokenState, error) {
	select {
	case t.signing <- struct{}{}:
	case <-ctx.Done():
		return "", tokenState{}, refuse(RefusedKey, "the key has too much to do")
	}
	type signed struct {
		text string
		err  error
	}
	done := make(chan signed, 1)
	var state tokenState
	var fault error
	if err := l.inspect(ctx, func() {
		var claims *token.Claims
		if state, fault = l.tokenState(); fault == nil {
			claims, fault = t.claims(&state, name, r)
		}
		if fault != nil {
			return
		}
		note.ID, note.Expires, note.Attestation = claims.ID, claims.Expires, claims.Attestation
		kid := token.KeyID(string(state.id.tier), state.id.keyID)
		if !l.try(func() func() {
			defer func() { <-t.signing }() // when it has run, however long somebody waited for it
			text, err := token.Sign(claims, kid, state.id.key)
			done <- signed{text, err}
			return func() {}
		}) {
			fault = refuse(RefusedKey, "the key has too much to do")
		}
	}); err != nil {
		fault = errors.Join(fault, refuse(RefusedKey, "%v", err))
	}
	if fault != nil {
		<-t.signing
		return "", state, fault
	}
	select {
	case s := <-done:
		if s.err != nil {
			return "", state, refuse(RefusedKey, "the key does not sign: %v", s.err)
		}
		return s.text, state, nil
	case <-ctx.Done():
		return "", state, refuse(RefusedKey, "the key did not sign in time")
	}
}

// claims fills in a token. It ends with the attestation at the latest.
func (t *tokens) claims(s *tokenState, name string, r request) (*token.Claims, error) {
	life := min(t.cfg.Life, s.left, token.MaxLife).Truncate(time.Second)
	if life < time.Second {
		return nil, refuse(RefusedState, "the attestation ends within a second")
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	iat := s.civil.Unix()
	return &token.Claims{
		Issuer: s.robot, Subject: name, Audience: r.audience, Role: r.role, IssuedAt: iat, Expires: iat + int64(life/time.Second),
		ID: hex.EncodeToString(id[:]), BootID: s.boot, Attestation: s.att,
	}, nil
}

// refusedToken notes a refusal, unless there were too many of late; then the next one says how many were left out.
func (l *loop) refusedToken(t *tokens, note *Token) {
	t.mu.Lock()
	t.refused++
	told := t.notes.take(t.now())
	if told {
		note.Suppressed, t.suppressed = t.suppressed, 0
	} else {
		t.suppressed++
	}
	t.mu.Unlock()
	if !told {
		return
	}
	l.note(KindToken, note) // the journal never waits and takes records from everywhere
	l.log.Warn().Str("reason", note.Reason).Str("detail", note.Detail).Str("program", note.Subject).Int("uid", note.UID).Int("pid", note.PID).
		Str("exe", note.Exe).Uint64("suppressed", note.Suppressed).Msg("no token")
}

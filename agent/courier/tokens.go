package courier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/callers"
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

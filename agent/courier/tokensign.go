package courier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"github.com/robowarden/robowarden/attest/token"
)

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

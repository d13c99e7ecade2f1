package console

import (
	"encoding/json"
	"fmt"
	"sync"
	"unicode/utf8"
)

// encoder turns snapshots into frames once, however many clients look.
type encoder struct {
	mu       sync.Mutex
	snapshot *Snapshot
	state    []byte
	scene    *Scene
	sceneID  uint64
	sceneOut []byte
}

// frames returns the snapshot's state and its scene as JSON, and the scene's number. The slices are not changed later.
func (e *encoder) frames(s *Snapshot) (state, scene []byte, sceneID uint64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sceneOut == nil || s.Scene != e.scene {
		out, err := encodeScene(s.Scene, e.sceneID+1)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("console: encode the scene: %w", err)
		}
		e.scene, e.sceneOut = s.Scene, out
		e.sceneID++
		e.snapshot = nil
	}
	if s != e.snapshot {
		c := bounded(s)
		c.SceneID = e.sceneID
		out, err := json.Marshal(c)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("console: encode the state: %w", err)
		}
		e.snapshot, e.state = s, out
	}
	return e.state, e.sceneOut, e.sceneID, nil
}

func encodeScene(s *Scene, id uint64) ([]byte, error) {
	out := struct {
		ID uint64 `json:"id"`
		Scene
	}{ID: id}
	if s == nil {
		return json.Marshal(out)
	}
	var cut bool
	out.Site = short(s.Site, &cut)
	out.Floors = append(out.Floors, head(s.Floors, MaxLines, &cut)...)
	for i := range out.Floors {
		out.Floors[i].Name = short(out.Floors[i].Name, &cut)
	}
	out.Zones = append(out.Zones, head(s.Zones, MaxZones, &cut)...)
	for i := range out.Zones {
		z := &out.Zones[i]
		z.ID, z.Reason = short(z.ID, &cut), short(z.Reason, &cut)
	}
	return json.Marshal(out)
}

// bounded is a copy with everything cut to its limit.
func bounded(s *Snapshot) *Snapshot {
	c := *s
	cut := false
	c.Robot, c.Floor, c.Mode = short(s.Robot, &cut), short(s.Floor, &cut), short(s.Mode, &cut)
	c.Summary, c.AdvisoryText = short(s.Summary, &cut), short(s.AdvisoryText, &cut)
	c.Attestation.State, c.Attestation.Tier = short(s.Attestation.State, &cut), short(s.Attestation.Tier, &cut)
	c.Contour, c.Predicted = head(s.Contour, MaxPath, &cut), head(s.Predicted, MaxPath, &cut)
	c.Path = tail(s.Path, MaxPath)
	c.ZoneStates = head(s.ZoneStates, MaxZones, &cut)
	c.Triggers = each(head(s.Triggers, MaxTriggers, &cut), func(t *Trigger) {
		t.Code, t.Title, t.Text = short(t.Code, &cut), short(t.Title, &cut), short(t.Text, &cut)
		t.Clear, t.Constraint = short(t.Clear, &cut), short(t.Constraint, &cut)
	})
	c.Channels = each(head(s.Channels, MaxLines, &cut), func(t *Channel) {
		t.Name, t.Health, t.Text = short(t.Name, &cut), short(t.Health, &cut), short(t.Text, &cut)
	})
	c.Inputs = each(head(s.Inputs, MaxLines, &cut), func(t *Input) {
		t.Name, t.Health, t.Text = short(t.Name, &cut), short(t.Health, &cut), short(t.Text, &cut)
	})
	c.Events = each(tail(s.Events, MaxEvents), func(t *Event) { t.Text = short(t.Text, &cut) })
	c.Cut = cut
	return &c
}

func each[T any](in []T, change func(*T)) []T {
	out := append([]T(nil), in...)
	for i := range out {
		change(&out[i])
	}
	return out
}

func head[T any](in []T, limit int, cut *bool) []T {
	if len(in) > limit {
		*cut = true
		return in[:limit]
	}
	return in
}

// tail keeps the newest. What is old is not missed, so nothing counts as cut.
func tail[T any](in []T, limit int) []T { return in[max(0, len(in)-limit):] }

func short(s string, cut *bool) string {
	if len(s) <= MaxString {
		return s
	}
	*cut = true
	end := MaxString
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

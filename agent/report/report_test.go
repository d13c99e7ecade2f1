package report

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/replay"
)

func drive(t testing.TB) *replay.Report {
	t.Helper()
	demo := filepath.Join("..", "..", "configs", "demo")
	cfg, err := config.Load(nil, filepath.Join(demo, "policy.yaml"), filepath.Join(demo, "profile.yaml"), filepath.Join(demo, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := replay.WhatIf(t.Context(), &replay.Question{
		Files: []string{"../recording/testdata/drive-lz4.bag"}, Config: cfg, Against: cfg.Policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t testing.TB, r *replay.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReportStandsAlone looks for anything that a browser would fetch, and for every event.
func TestReportStandsAlone(t *testing.T) {
	r := drive(t)
	page := written(t, r)
	for _, bad := range []string{"http:", "https:", "src=", "@import", "url(data", "<link", "ZgotmplZ", "%!", "NaN", "Inf"} {
		if i := strings.Index(page, bad); i >= 0 {
			t.Errorf("the page holds %q: %.80s", bad, page[i:])
		}
	}
	for i := range r.Timeline.Entries {
		if !strings.Contains(page, fmt.Sprintf(`<details id="e%d">`, i+1)) {
			t.Errorf("event %d is missing", i+1)
		}
	}
	for _, want := range []string{"stopped once while it moved: zone.overrun [ward-a-closed]", "class=\"way hold\"", "cannot stop before the edge of a zone", "/localization/pose"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if again := written(t, drive(t)); again != page {
		t.Error("the same replay gives another page")
	}
}

// TestReportEscapes draws a policy and a recording whose words are markup.
func TestReportEscapes(t *testing.T) {
	r := drive(t)
	const evil = `<script>alert(1)</script>"&'`
	for i := range r.Config.Policy.Zones {
		r.Config.Policy.Zones[i].Reason = evil
	}
	r.Policy, r.Robot, r.Warnings = evil, evil, []string{evil}
	for i := range r.Timeline.Entries {
		r.Timeline.Entries[i].Words, r.Timeline.Entries[i].Rule = evil, evil
	}
	for i := range r.Timeline.Clips {
		r.Timeline.Clips[i].Rule = evil
	}
	page := written(t, r)
	if n := strings.Count(page, "<script>"); n != 1 {
		t.Errorf("%d scripts, expected the page's own", n)
	}
	if strings.Contains(page, "alert(1)</script>") {
		t.Error("what came from a document is markup")
	}
}

// TestReportOfNothing draws a timeline in which nothing happened.
func TestReportOfNothing(t *testing.T) {
	r := drive(t)
	r.Timeline, r.Against, r.Inputs, r.Summary = &replay.Timeline{}, nil, nil, replay.Summary{}
	if page := written(t, r); !strings.Contains(page, "Nothing would have stopped the robot") {
		t.Error("no headline")
	}
}

// TestFarPoses draws poses so far away that a step of the rulers is lost in rounding.
func TestFarPoses(t *testing.T) {
	for _, x := range []float64{4e15, -4e15, 1e17, 1e300, 1.7e308, 1e-300} {
		r := drive(t)
		for i := range r.Config.Policy.Zones {
			r.Config.Policy.Zones[i].Floor = "elsewhere"
		}
		for i := range r.Timeline.Path {
			s := &r.Timeline.Path[i]
			s.X, s.Y, s.Speed, s.Margin = x, -x, math.Abs(x), x
		}
		page := written(t, r) // and ends
		if n := strings.Count(page, `class="tick`); n > 6*maxTicks {
			t.Errorf("poses at %g: %d ticks", x, n)
		}
	}
}

package replay

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/recording/recordingtest"
)

const drives = "../recording/testdata/"

// demoConfig loads the demonstration's documents with an edited policy.
func demoConfig(t testing.TB, edit func(string) string) *config.Config {
	t.Helper()
	demo := filepath.Join("..", "..", "configs", "demo")
	raw, err := os.ReadFile(filepath.Join(demo, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(edit(string(raw))), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(nil, file, filepath.Join(demo, "profile.yaml"), filepath.Join(demo, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func whatIfOf(t testing.TB, q *Question) *Report {
	t.Helper()
	r, err := WhatIf(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// trip finds the first trip of a rule about a subject.
func trip(r *Report, code, subject string) *TriggerSpan {
	for i := range r.Timeline.Triggers {
		if s := &r.Timeline.Triggers[i]; s.Code == code && s.Subject == subject {
			return s
		}
	}
	return nil
}

func openAtNight(policy string) string {
	return strings.Replace(policy, "    outside_shifts: [day]     # open by day, closed whenever it is not day\n", "    shifts: [meals]\n", 1)
}

// TestWhatIfFindsTheClosedWard replays a drive at the door of a ward that is closed: the robot would have been stopped
// before it. By a policy that leaves the ward open, it would not.
func TestWhatIfFindsTheClosedWard(t *testing.T) {
	r := whatIfOf(t, &Question{Files: []string{drives + "drive-lz4.bag"}, Config: demoConfig(t, same)})
	s := trip(r, "zone.overrun", "ward-a-closed")
	if s == nil || s.FromS < 15 || s.FromS > 17 || s.MarginM == nil || *s.MarginM < 0.05 || *s.MarginM > 0.3 {
		t.Fatalf("expected zone.overrun of ward-a-closed after 16 s, found %+v", s)
	}
	if len(r.Timeline.Stops) != 1 || r.Timeline.Stops[0].SpeedMPS < 0.6 || r.Timeline.Stops[0].PredictedS < 1 {
		t.Errorf("stops %+v; expected one from 0.7 m/s", r.Timeline.Stops)
	}
	if c := r.Timeline.Commands; c.Total != 240 || c.Clipped == 0 || c.Dropped == 0 || c.Passed+c.Clipped+c.Dropped != c.Total {
		t.Errorf("commands %+v", c)
	}
	open := whatIfOf(t, &Question{Files: []string{drives + "drive-lz4.bag"}, Config: demoConfig(t, openAtNight)})
	if s := trip(open, "zone.overrun", "ward-a-closed"); s != nil || len(open.Timeline.Stops) > 0 {
		t.Errorf("with the ward open: %+v, %d stops", s, len(open.Timeline.Stops))
	}
	again := whatIfOf(t, &Question{Files: []string{drives + "drive-bz2.bag"}, Config: demoConfig(t, same)})
	if again.Digest != r.Digest || again.Events != r.Events {
		t.Errorf("the same drive in another compression: digest %s, not %s", again.Digest, r.Digest)
	}
}

// TestWhatIfOfMCAP replays the same drive as ROS 1 and as ROS 2 recorded it. The recorder's times are the same; ROS 2's
// headers have no counter, on which nothing decides.
func TestWhatIfOfMCAP(t *testing.T) {
	cfg := demoConfig(t, same)
	want := whatIfOf(t, &Question{Files: []string{drives + "drive-lz4.bag"}, Config: cfg})
	list := recordingtest.Bag(t, drives+"drive-lz4.bag")
	for _, ros2 := range []bool{false, true} {
		var b bytes.Buffer
		recordingtest.WriteMCAP(t, &b, list, "zstd", ros2)
		file := filepath.Join(t.TempDir(), "drive.mcap")
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := whatIfOf(t, &Question{Files: []string{file}, Config: cfg}); r.Digest != want.Digest || r.Events != want.Events || len(r.Warnings) > 0 {
			t.Errorf("ros2 %t: %d events, digest %s; expected %d, %s; %q", ros2, r.Events, r.Digest, want.Events, want.Digest, r.Warnings)
		}
	}
}

func TestAgainst(t *testing.T) {
	r := whatIfOf(t, &Question{
		Files: []string{drives + "drive-lz4.bag"}, Config: demoConfig(t, openAtNight), Against: demoConfig(t, same).Policy,
	})
	removed := slices.ContainsFunc(r.Against.Removed, func(s TriggerSpan) bool { return s.Code == "zone.overrun" && s.Subject == "ward-a-closed" })
	if !removed || len(r.Against.Added) > 0 {
		t.Errorf("added %+v, removed %+v; expected the ward's trip to be removed and none added", r.Against.Added, r.Against.Removed)
	}
	change := slices.IndexFunc(r.Against.Rules, func(c RuleChange) bool { return c.Rule == "zone.overrun" })
	if change < 0 || r.Against.Rules[change].OldS < 1 || r.Against.Rules[change].NewS != 0 {
		t.Errorf("rules %+v", r.Against.Rules)
	}
	if same := whatIfOf(t, &Question{Files: []string{drives + "drive-lz4.bag"}, Config: demoConfig(t, same), Against: demoConfig(t, same).Policy}); len(same.Against.Rules)+len(same.Against.Moved)+len(same.Against.Added) > 0 {
		t.Errorf("against itself: %+v", same.Against)
	}
}

// TestInterrupted ends a replay on its way: what was done so far is told.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	r, err := WhatIf(ctx, &Question{Files: []string{drives + "drive-bz2.bag"}, Config: demoConfig(t, same), Progress: func(int64, int64) {
		if calls++; calls == 2 {
			cancel()
		}
	}})
	if err != nil || r.Partial == "" || r.Timeline.Commands.Total == 0 || r.Timeline.Commands.Total >= 240 {
		t.Fatalf("%v, %+v", err, r)
	}
}

// TestCutRecording replays what is left of a recording whose end is missing.
func TestCutRecording(t *testing.T) {
	raw, err := os.ReadFile(drives + "drive-none.bag")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cut.bag")
	if err := os.WriteFile(file, raw[:len(raw)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	r := whatIfOf(t, &Question{Files: []string{file}, Config: demoConfig(t, same)})
	said := strings.Join(append(r.Warnings, r.Partial), "\n")
	if r.Events == 0 || !strings.Contains(said, "at byte") {
		t.Errorf("%d events, said %q", r.Events, said)
	}
}

// TestInferredTopics replays without a mapping.
func TestInferredTopics(t *testing.T) {
	cfg := *demoConfig(t, same)
	cfg.Topics = nil
	r := whatIfOf(t, &Question{Files: []string{drives + "drive-lz4.bag"}, Config: &cfg})
	if trip(r, "zone.overrun", "ward-a-closed") == nil || !strings.Contains(r.Assumed[0], "/localization/pose") {
		t.Errorf("assumed %q, triggers %+v", r.Assumed, r.Timeline.Triggers)
	}
}

// TestOtherPublishers replays a drive whose poses the mapping expects from another node: they are refused, and said to be.
func TestOtherPublishers(t *testing.T) {
	cfg := demoConfig(t, same)
	cfg.Topics.Pose.Publishers = []string{"/amcl"}
	q := &Question{Files: []string{drives + "drive-lz4.bag"}, Config: cfg}
	if _, err := WhatIf(t.Context(), q); err == nil || !strings.Contains(err.Error(), "--any-publisher") {
		t.Errorf("%v; expected a word about --any-publisher", err)
	}
	q.AnyPublisher = true
	if r := whatIfOf(t, q); trip(r, "zone.overrun", "ward-a-closed") == nil {
		t.Error("listening to all, the ward was not noticed")
	}
}

// TestPathKeepsExtremes thins a long way: bounded, and neither the least margin nor a change of the mode is lost.
func TestPathKeepsExtremes(t *testing.T) {
	p := newPath()
	const n = 400_000
	for i := range n {
		s := Sample{AtS: float64(i) / 50, X: float64(i%5000) * 0.02, Margin: 2, Limit: -1}
		if i == 123_457 {
			s.Margin, s.Speed = 0.01, 9
		}
		p.add(s, 9)
	}
	list := p.all()
	if len(list) > maxSamples || len(list) < maxSamples/8 {
		t.Errorf("%d samples", len(list))
	}
	found := slices.IndexFunc(list, func(s Sample) bool { return s.Margin == 0.01 && s.Speed == 9 })
	if found < 0 || list[found].AtS < 123_457/50.0 || list[found].AtS > 123_457/50.0+30 {
		t.Errorf("the extreme is lost or elsewhere: %d", found)
	}
}

// TestClockThatJumps moves the last poses of a drive by decades: the replay must not tick through them.
func TestClockThatJumps(t *testing.T) {
	for name, by := range map[string]time.Duration{"ahead": 56 * 365 * 24 * time.Hour, "as far as it goes": math.MaxInt64} {
		t.Run(name, func(t *testing.T) {
			list := recordingtest.Bag(t, drives+"drive-lz4.bag")
			for i := len(list) * 3 / 4; i < len(list); i++ {
				list[i].Time = max(list[i].Time, list[i].Time+int64(min(by, time.Duration(math.MaxInt64-list[i].Time))))
			}
			file := filepath.Join(t.TempDir(), "jump.mcap")
			var b bytes.Buffer
			recordingtest.WriteMCAP(t, &b, list, "", false)
			if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			r := whatIfOf(t, &Question{Files: []string{file}, Config: demoConfig(t, same)})
			if r.Events == 0 || !strings.Contains(r.Partial, "jumps ahead") {
				t.Errorf("%d events, partial %q", r.Events, r.Partial)
			}
		})
	}
}

// TestPathHasPlacesOnly gives a path what is no place.
func TestPathHasPlacesOnly(t *testing.T) {
	p := newPath()
	for i, x := range []float64{1, math.NaN(), math.Inf(1), math.Inf(-1), 4e15} {
		p.add(Sample{AtS: float64(i), X: x, Y: 1}, 0)
		p.add(Sample{AtS: float64(i), X: 1, Y: x}, 0)
	}
	if n := len(p.all()); n != 1 {
		t.Errorf("%d samples: %+v", n, p.all())
	}
}

// TestWhatIfTakesFacts adds what the bus says about the robot's task to a drive: it is taken as the guard takes it, and told to be
// unknown where the recording has nothing of it.
func TestWhatIfTakesFacts(t *testing.T) {
	cfg := demoConfig(t, same)
	cfg.Topics.Facts = []config.FactSource{{
		ID: "job", Kind: "task", Topic: "/job", Type: config.TypeString, Publishers: []string{"/jobs"}, MaxAge: time.Second,
		Values: []config.FactValue{{Value: "clean", Means: "cleaning"}, {Value: "carry", Means: "delivery"}},
	}}
	cfg.Policy.Tasks = []string{"cleaning", "delivery"}
	cfg.Policy.Facts = []config.FactDemand{{Kind: "task", Identity: "source-bound"}}
	for i := range cfg.Policy.Zones {
		if z := &cfg.Policy.Zones[i]; z.ID == "ward-a-closed" {
			z.ExceptTasks = []string{"delivery"}
		}
	}
	list := recordingtest.Bag(t, drives+"drive-lz4.bag")
	for _, c := range []struct {
		says  string
		ros2  bool
		stops bool
	}{{"", false, true}, {"clean", false, true}, {"carry", false, false}, {"carry", true, false}} {
		var with []recordingtest.Message
		for i := range list {
			with = append(with, list[i])
			if i%40 == 0 && c.says != "" {
				with = append(with, recordingtest.Message{
					Conn: 99, Topic: "/job", Type: "std_msgs/String", Publisher: "/jobs", MD5: "992ce8a1687cec8c8bd883ec73ca41d1",
					Time: list[i].Time, Data: append([]byte{byte(len(c.says)), 0, 0, 0}, c.says...),
				})
			}
		}
		var b bytes.Buffer
		recordingtest.WriteMCAP(t, &b, with, "lz4", c.ros2)
		file := filepath.Join(t.TempDir(), "drive.mcap")
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		r := whatIfOf(t, &Question{Files: []string{file}, Config: cfg})
		if stops := trip(r, "zone.overrun", "ward-a-closed") != nil; stops != c.stops {
			t.Errorf("%q, ros2 %t: stopped before the ward %t, expected %t: %+v", c.says, c.ros2, stops, c.stops, r.Inputs)
		}
		if unknown := strings.Contains(strings.Join(r.Assumed, "\n"), "nothing about job"); unknown != (c.says == "") {
			t.Errorf("%q: %q", c.says, r.Assumed)
		}
	}
}

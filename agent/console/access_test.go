package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/agent/report"
)

// axe is axe-core's script, which test/setup/axe.sh fetches; without it the test is skipped, or fails under REQUIRE_ALL=1.
func axe(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "test", "build", "axe", "axe.min.js"))
	if err == nil {
		return string(raw)
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("axe-core is needed and REQUIRE_ALL=1: run test/setup/axe.sh: %v", err)
	}
	t.Skipf("axe-core is needed: run test/setup/axe.sh: %v", err)
	return ""
}

// faults are what axe-core finds wrong on the page that is open: rules of WCAG 2.0 to 2.2, levels A and AA, and its best practices.
func (d *devtools) faults(script string) []string {
	d.t.Helper()
	// The page's own policy lets nobody else's script run; the browser's debugger may.
	d.call("Runtime.evaluate", map[string]any{"expression": script}, nil)
	var r struct {
		Result struct{ Value string }
	}
	d.call("Runtime.evaluate", map[string]any{
		"expression": `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify({passed: r.passes.length,
			list: r.violations.map((v) => [v.id, v.help, v.nodes.map((n) => n.target + " " + n.failureSummary).join("; ")].join(": "))}))`,
		"awaitPromise": true, "returnByValue": true,
	}, &r)
	var found struct {
		Passed int
		List   []string
	}
	if err := json.Unmarshal([]byte(r.Result.Value), &found); err != nil || found.Passed < 10 {
		d.t.Fatalf("axe-core: %v, %d rules passed: %s", err, found.Passed, r.Result.Value)
	}
	return found.List
}

// reportServer serves the report of a recorded drive, which is made once.
func reportServer(t *testing.T) *httptest.Server {
	t.Helper()
	reportOnce.Do(func() { reportPage = makeReport(t) })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(reportPage)
	}))
	t.Cleanup(s.Close)
	return s
}

var (
	reportOnce sync.Once
	reportPage []byte
)

func makeReport(t *testing.T) []byte {
	t.Helper()
	demo := filepath.Join("..", "..", "configs", "demo")
	cfg, err := config.Load(nil, filepath.Join(demo, "policy.yaml"), filepath.Join(demo, "profile.yaml"), filepath.Join(demo, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := replay.WhatIf(t.Context(), &replay.Question{Files: []string{"../recording/testdata/drive-lz4.bag"}, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// keepPublishing publishes a snapshot again and again, as a guard does.
func keepPublishing(board *Board, s *Snapshot) (stop func()) {
	board.Publish(s)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				again := *s
				board.Publish(&again)
			}
		}
	}()
	return func() { close(end); <-done }
}

var windows = []struct {
	name          string
	width, height int
	dark          bool
}{{"desktop", 1140, 790, false}, {"phone-dark", 390, 844, true}, {"desktop-dark", 1140, 790, true}, {"phone", 390, 844, false}}

// windowsOf are those to look at one of several pages in: all of them, or in a short run two that have both sizes and both schemes,
// not the same for each page, and one for those that differ from the first two in their map alone.
func windowsOf(page int) []struct {
	name          string
	width, height int
	dark          bool
} {
	if allWindows || os.Getenv("PICTURES") == "1" {
		return windows
	}
	if page > 1 {
		return windows[:1]
	}
	return windows[page*2 : page*2+2]
}

// TestPagesAreAccessible checks contrast, labels and structure of console and report, light and dark, on desk and phone. With
// PICTURES=1 it takes the pictures in docs/pictures anew.
func TestPagesAreAccessible(t *testing.T) {
	script := axe(t)
	d := openBrowser(t)
	for i, page := range []struct {
		name     string
		snapshot *Snapshot
	}{{"walking", sampleWalking(sampleScene())}, {"stopped", sampleStopped(sampleScene())}, {"zones", sampleZones()}} {
		var board Board
		stop := keepPublishing(&board, page.snapshot)
		server := serve(t, &board)
		for _, w := range windowsOf(i) {
			d.open(server.URL, w.width, w.height, w.dark)
			d.until(`document.documentElement.dataset.link === "live" && document.getElementById("stale").hidden`)
			if page.name == "zones" {
				d.eval(`document.querySelector("details").open = true`)
			}
			for _, f := range d.faults(script) {
				t.Errorf("console, %s, %s: %s", page.name, w.name, f)
			}
			if page.name == "stopped" && w.dark || page.name == "walking" && !w.dark {
				d.picture("console-" + page.name + "-" + w.name)
			}
		}
		stop()
		if page.name == "stopped" {
			d.later(2500)
			d.until(`document.documentElement.dataset.link === "stale"`)
			for _, f := range d.faults(script) {
				t.Errorf("console without news, %s: %s", page.name, f)
			}
		}
		d.open("about:blank", 1440, 1000, false)
		server.CloseClientConnections()
	}
	server := reportServer(t)
	for _, w := range windowsOf(0) {
		d.open(server.URL, w.width, w.height, w.dark)
		for _, f := range d.faults(script) {
			t.Errorf("report, %s: %s", w.name, f)
		}
		if d.eval(`document.documentElement.scrollWidth > innerWidth`) != "false" {
			t.Errorf("report, %s: the page is wider than the window", w.name)
		}
		d.picture("report-" + w.name)
	}
	for _, kind := range []string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"} {
		for _, line := range d.said(kind) {
			if !strings.Contains(line, "favicon") {
				t.Errorf("the browser's console: %s", line)
			}
		}
	}
}

// TestAccessibilityFaultIsFound is the off run: axe-core has to find what is planted.
func TestAccessibilityFaultIsFound(t *testing.T) {
	script := axe(t)
	d := openBrowser(t)
	server := reportServer(t)
	d.open(server.URL, 1440, 1000, false)
	d.eval(`document.body.insertAdjacentHTML("afterbegin", "<p style='color:#bbb;background:#fff'>pale</p><button></button>")`)
	found := strings.Join(d.faults(script), "\n")
	for _, want := range []string{"color-contrast", "button-name"} {
		if !strings.Contains(found, want) {
			t.Errorf("expected %s to be found:\n%s", want, found)
		}
	}
}

// picture keeps what the window shows, if it was asked for.
func (d *devtools) picture(name string) {
	d.t.Helper()
	if os.Getenv("PICTURES") != "1" {
		return
	}
	file := filepath.Join("..", "..", "docs", "pictures", name+".png")
	d.window(file)
	raw, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		d.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img); err != nil {
		d.t.Fatal(err)
	}
	if b.Len() < len(raw) {
		err = os.WriteFile(file, b.Bytes(), 0o600)
	}
	if info, _ := os.Stat(file); err != nil || info.Size() > 150_000 {
		d.t.Errorf("%s: %d bytes, expected at most 150000 (%v)", name, info.Size(), err)
	}
}

// TestEventIsOnScreenInTime measures from the publishing of a snapshot until the page has painted it, both by the robot's clock.
func TestEventIsOnScreenInTime(t *testing.T) {
	d := openBrowser(t)
	var board Board
	board.Publish(sampleWalking(sampleScene()))
	server := serve(t, &board)
	d.open(server.URL, 1440, 1000, false)
	d.until(`["live", "stale"].includes(document.documentElement.dataset.link)`)
	d.eval(`window.seen = {}; new MutationObserver(() => { const t = document.querySelector("#events span");
		if (t && !(t.textContent in seen)) { seen[t.textContent] = 0; requestAnimationFrame(() => setTimeout(() => { seen[t.textContent] = Date.now(); })); }
	}).observe(document.getElementById("events"), {childList: true, subtree: true}); 1`)
	took := make([]time.Duration, 0, 10)
	scene := sampleScene()
	for i := range cap(took) {
		s := sampleStopped(scene)
		text := fmt.Sprintf("measured event %d", i)
		s.Events = append(s.Events, Event{Time: time.Now(), Level: "error", Text: text})
		begun := time.Now()
		board.Publish(s)
		d.until(fmt.Sprintf(`seen[%q] > 0`, text))
		var at float64
		_, _ = fmt.Sscan(d.eval(fmt.Sprintf(`seen[%q] - %d`, text, begun.UnixMilli())), &at)
		took = append(took, time.Duration(at)*time.Millisecond)
	}
	t.Logf("published to painted, ms: %v", took)
	if eventBar > 0 {
		for _, x := range took {
			if x > eventBar {
				t.Errorf("an event was on the screen after %v, expected at most %v", x, eventBar)
			}
		}
	}
}

// TestHoursOfEvents: after as many events as a shift of eight hours has (two in a short run), the page has no more elements than after a minute, and a
// change takes no longer.
func TestHoursOfEvents(t *testing.T) {
	d := openBrowser(t)
	var board Board
	board.Publish(sampleWalking(sampleScene()))
	server := serve(t, &board)
	d.open(server.URL, 1440, 1000, false)
	d.until(`["live", "stale"].includes(document.documentElement.dataset.link)`)
	const perHour = 120 // one every thirty seconds, far more than a robot has
	// The snapshots go straight to what the page does with one, so that eight hours pass in seconds.
	d.eval(`window.feed = (from, n) => { let worst = 0; const base = JSON.parse(JSON.stringify(window.lastState));
		for (let i = from; i < from + n; i++) {
			base.events.push({time: new Date(1.7e12 + i * 1000).toISOString(), level: ["info", "warn", "error"][i % 3], text: "event " + i});
			base.events = base.events.slice(-100); base.speed_mps = (i % 100) / 100; base.triggers = i % 7 ? [] : [{code: "t" + i, title: "T" + i, text: "x", since: base.time, latched: false, clear: "c"}];
			base.path = base.path.concat([[5 + i % 20, 11]]).slice(-600);
			const at = performance.now(); window.dispatchEvent(new CustomEvent("robowarden-state", {detail: base})); worst += performance.now() - at;
		} window.lastState = base; return worst / n; }; 1`)
	d.eval(`fetch("snapshot.json").then((r) => r.json()).then((s) => { window.lastState = s.state || s; }); 1`)
	d.until(`!!window.lastState && !!window.lastState.axes`)
	first := d.eval(`feed(0, 60)`)
	elements := d.eval(`document.querySelectorAll("*").length`)
	last := ""
	for hour := range eventHours {
		for part := range 6 {
			last = d.eval(fmt.Sprintf("feed(%d, %d)", 60+hour*perHour+part*perHour/6, perHour/6))
		}
	}
	after := d.eval(`document.querySelectorAll("*").length`)
	t.Logf("ms for one change: %s after a minute, %s in hour %d; elements: %s and %s", first, last, eventHours, elements, after)
	var a, b float64
	_, _ = fmt.Sscan(elements, &a)
	_, _ = fmt.Sscan(after, &b)
	if !(a > 100) || b > a+150 {
		t.Errorf("%v elements after a minute, %v after %d hours", a, b, eventHours)
	}
	if d.eval(`document.querySelector("#events span").textContent`) != fmt.Sprintf("event %d", 59+eventHours*perHour) {
		t.Error("the newest event is not the first of the list")
	}
}

package console

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serve offers a board's snapshots.
func serve(t *testing.T, board *Board) *httptest.Server {
	t.Helper()
	h, err := Handler(board, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func TestPageInChromium(t *testing.T) {
	d := openBrowser(t)
	for _, c := range []struct {
		name     string
		snapshot *Snapshot
		shows    []string
	}{
		{"walking", sampleWalking(sampleScene()), []string{
			"Speed limited", "0.78", "ground-corridor: at most 0.80 m/s", "people and beds", "enforcing", "Ground floor", "pharmacy",
		}},
		{"stopped", sampleStopped(sampleScene()), []string{
			"Stopped · category 2", "Operator does not answer", "signed reset", "advisory", "silent for 33 s", "Close to pharmacy",
		}},
		{"zones", sampleZones(), []string{
			"theatre-door: closed without a lease", "0.3 m away", "changing: cameras and microphones closed", "laboratory", "lift-sill",
		}},
		{"hostile", hostileSnapshot(), []string{"<img src=x onerror=alert(1)>"}},
	} {
		var board Board
		board.Publish(c.snapshot)
		server := serve(t, &board)
		d.open(server.URL, 1440, 1000, false)
		d.until(`document.documentElement.dataset.link === "live" || document.documentElement.dataset.link === "stale"`)
		text := d.eval("document.body.innerText + document.getElementById('labels').textContent")
		for _, want := range c.shows {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page does not show %q:\n%s", c.name, want, text)
			}
		}
		if n := d.eval(`document.querySelectorAll("img, script[src], link[rel=stylesheet], iframe").length`); n != "0" {
			t.Errorf("%s: %s elements that load something or came from hostile text", c.name, n)
		}
		if wide := d.eval("document.documentElement.scrollWidth > innerWidth"); wide != "false" {
			t.Errorf("%s: the page is wider than the window", c.name)
		}
		for _, line := range d.said("Network.requestWillBeSent") {
			if !strings.Contains(line, `"url":"`+server.URL) && !strings.Contains(line, `"url":"data:`) && !strings.Contains(line, `"url":"about:`) {
				t.Errorf("%s: the page asked for something elsewhere: %s", c.name, line)
			}
		}
		shots(d, c.name, server.URL)
		d.open("about:blank", 1440, 1000, false)
		server.CloseClientConnections()
		d.mu.Lock()
		d.console = nil
		d.mu.Unlock()
	}
}

// shots takes pictures for people's eyes, if asked where to.
func shots(d *devtools, name, url string) {
	dir := os.Getenv("CONSOLE_SHOTS")
	if dir == "" {
		return
	}
	for kind, size := range map[string][2]int{"desktop": {1440, 1000}, "phone": {390, 844}} {
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			d.open(url, size[0], size[1], dark)
			d.until(`document.documentElement.dataset.link === "live"`)
			d.shot(filepath.Join(dir, name+"-"+kind+"-"+scheme+".png"))
		}
	}
}

func TestPageHasNoConsoleErrors(t *testing.T) {
	d := openBrowser(t)
	for _, snapshot := range []*Snapshot{
		sampleWalking(sampleScene()), sampleStopped(sampleScene()), hostileSnapshot(), {}, {Scene: &Scene{}},
	} {
		var board Board
		board.Publish(snapshot)
		server := serve(t, &board)
		d.open(server.URL, 390, 844, true)
		d.until(`document.documentElement.dataset.link === "live"`)
		if d.eval(`document.documentElement.scrollWidth > innerWidth`) != "false" {
			t.Error("the page is wider than a phone")
		}
		for _, kind := range []string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"} {
			for _, line := range d.said(kind) {
				t.Errorf("%q: %s", snapshot.Mode, line)
			}
		}
	}
}

func TestPageUseByKeyboardAndSilence(t *testing.T) {
	d := openBrowser(t)
	var board Board
	server := serve(t, &board)
	d.open(server.URL, 1440, 1000, false)
	d.until(`document.getElementById("link").textContent === "waiting for the guard"`)
	board.Publish(sampleStopped(sampleScene()))
	d.until(`document.getElementById("headline").textContent.startsWith("Stopped")`)
	before := d.eval(`document.getElementById("map").getAttribute("viewBox")`)
	d.eval(`document.getElementById("map").focus()`)
	d.call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": "+", "text": "+"}, nil)
	d.until(`document.getElementById("map").getAttribute("viewBox") !== "` + before + `"`)
	d.call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": "0", "text": "0"}, nil)
	d.until(`document.getElementById("map").getAttribute("viewBox") === "` + before + `"`)
	d.eval(`[...document.querySelectorAll("#floors button")].find((b) => b.textContent === "Upper floor").click()`)
	d.until(`document.getElementById("elsewhere").textContent === "the robot is on Ground floor"`)
	// Nothing is published any more: the page must not go on looking alive.
	d.later(2500)
	d.until(`document.documentElement.dataset.link === "stale" && !document.getElementById("stale").hidden`)
	server.CloseClientConnections()
	server.Close()
	d.later(5500)
	d.until(`document.documentElement.dataset.link === "lost"`)
}

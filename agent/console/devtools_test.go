package console

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hangs is after how long a browser that does not answer is taken to hang; on a machine that gives it a tenth of a processor it takes half a minute.
const hangs = 2 * time.Minute

// devtools talks to a headless Chromium by its debugging pipe: commands to its descriptor 3, answers from 4, each
// message JSON with a zero byte after it.
type devtools struct {
	t       *testing.T
	in      *os.File
	session string

	mu      sync.Mutex
	next    int
	waiting map[int]chan json.RawMessage
	console []string // What the page wrote to its console, and what the browser said of it.
}

// browser finds Chromium or skips; with REQUIRE_ALL=1 its absence is a failure.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal("no Chromium found and REQUIRE_ALL=1")
	}
	t.Skip("no Chromium found")
	return ""
}

// openBrowser starts Chromium with one empty tab and ends it with the test.
func openBrowser(t *testing.T) *devtools {
	t.Helper()
	childIn, in, err1 := os.Pipe()
	out, childOut, err2 := os.Pipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	profile := t.TempDir()
	cmd := exec.CommandContext(t.Context(), browser(t), //nolint:gosec // the machine's browser, fixed arguments.
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
		"--disable-dev-shm-usage", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{childIn, childOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = childIn.Close(), childOut.Close()
	d := &devtools{t: t, in: in, waiting: map[int]chan json.RawMessage{}}
	done := make(chan struct{})
	go func() { defer close(done); d.read(out) }()
	t.Cleanup(func() {
		// The whole group that this test started: the browser and its helpers.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = in.Close()
		<-done
		_ = out.Close()
	})
	var target struct{ TargetID string }
	d.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	d.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	d.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		d.call(domain+".enable", nil, nil)
	}
	return d
}

// read takes messages until the browser goes away.
func (d *devtools) read(out *os.File) {
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  json.RawMessage
		}
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		d.mu.Lock()
		switch m.Method {
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.requestWillBeSent":
			d.console = append(d.console, m.Method+" "+string(m.Params))
		}
		if c := d.waiting[m.ID]; c != nil && m.ID != 0 {
			delete(d.waiting, m.ID)
			if m.Error != nil {
				m.Result = append([]byte(failed), append(m.Error, '}')...)
			}
			c <- m.Result
		}
		d.mu.Unlock()
	}
}

// call sends one command and waits for its answer, which must not be a failure.
func (d *devtools) call(method string, params map[string]any, result any) {
	d.t.Helper()
	raw := d.ask(method, params)
	if strings.HasPrefix(string(raw), failed) {
		d.t.Fatalf("chromium: %s: %s", method, raw)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(raw, result); err != nil {
		d.t.Fatalf("chromium: %s: %v in %s", method, err, raw)
	}
}

// failed begins an answer that is a failure.
const failed = `{"failed":`

// ask sends one command and returns its answer.
func (d *devtools) ask(method string, params map[string]any) json.RawMessage {
	d.t.Helper()
	answer := make(chan json.RawMessage, 1)
	d.mu.Lock()
	d.next++
	id := d.next
	d.waiting[id] = answer
	d.mu.Unlock()
	if params == nil {
		params = map[string]any{}
	}
	m := map[string]any{"id": id, "method": method, "params": params}
	if d.session != "" {
		m["sessionId"] = d.session
	}
	line, err := json.Marshal(m)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err = d.in.Write(append(line, 0)); err != nil {
		d.t.Fatalf("chromium: %s: %v", method, err)
	}
	select {
	case raw := <-answer:
		return raw
	case <-time.After(hangs):
		d.t.Fatalf("chromium: no answer to %s within %v", method, hangs)
	}
	return nil
}

// eval runs an expression in the page and returns its value as text.
func (d *devtools) eval(expression string) string {
	d.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	d.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		d.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	return fmt.Sprint(r.Result.Value)
}

// until waits for an expression to become true. While a page is being left or built it is not.
func (d *devtools) until(expression string) {
	d.t.Helper()
	careful := "(() => { try { return " + expression + " } catch { return false } })()"
	isTrue := func() bool {
		raw := d.ask("Runtime.evaluate", map[string]any{"expression": careful, "returnByValue": true})
		return strings.Contains(string(raw), `"value":true`)
	}
	for deadline := time.Now().Add(hangs); !isTrue(); {
		if time.Now().After(deadline) {
			d.t.Fatalf("the page never came to %s; its text:\n%s", expression, d.eval("document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond) // A poll with a deadline.
	}
}

// open sets the window and goes to a page.
func (d *devtools) open(url string, width, height int, dark bool) {
	d.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	d.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
	}, nil)
	d.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
	d.call("Page.navigate", map[string]any{"url": url}, nil)
	d.until(`location.href.startsWith("` + url + `") && document.readyState === "complete"`)
}

// said returns the console's lines of one kind so far.
func (d *devtools) said(method string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, line := range d.console {
		if strings.HasPrefix(line, method+" ") {
			out = append(out, line)
		}
	}
	return out
}

// window writes a picture of what the window shows.
func (d *devtools) window(path string) { d.capture(path, false) }

// shot writes a picture of the whole page.
func (d *devtools) shot(path string) { d.capture(path, true) }

func (d *devtools) capture(path string, beyond bool) {
	d.t.Helper()
	var r struct{ Data string }
	d.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": beyond}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

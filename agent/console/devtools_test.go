package console

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
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

// chromium is a headless Chromium, driven by its debugging pipe: commands to its descriptor 3, answers from 4, each message JSON
// with a zero byte after it. All tests share one, each with a tab of its own.
type chromium struct {
	cmd  *exec.Cmd
	in   *os.File
	done chan struct{}

	mu      sync.Mutex
	next    int
	waiting map[int]chan json.RawMessage
	tabs    map[string]*devtools // by session
}

// shared is the browser of all tests; TestMain ends it.
var shared struct {
	sync.Mutex
	*chromium
}

func TestMain(m *testing.M) {
	code := m.Run()
	if c := shared.chromium; c != nil {
		// The whole group that the tests started: the browser and its helpers.
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		_ = c.cmd.Wait()
		_ = c.in.Close()
		<-c.done
		_ = os.RemoveAll(c.cmd.Dir)
	}
	os.Exit(code)
}

// devtools is one tab.
type devtools struct {
	*chromium
	t       *testing.T
	session string
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

// openBrowser opens an empty tab, which is closed with the test.
func openBrowser(t *testing.T) *devtools {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.chromium == nil {
		shared.chromium = startBrowser(t)
	}
	d := &devtools{chromium: shared.chromium, t: t}
	var target struct{ TargetID string }
	d.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	d.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	d.mu.Lock()
	d.tabs[attached.SessionID] = d
	d.mu.Unlock()
	d.session = attached.SessionID
	t.Cleanup(func() {
		d.mu.Lock()
		delete(d.tabs, d.session)
		d.mu.Unlock()
		d.session = ""
		d.ask("Target.closeTarget", map[string]any{"targetId": target.TargetID})
	})
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		d.call(domain+".enable", nil, nil)
	}
	return d
}

func startBrowser(t *testing.T) *chromium {
	t.Helper()
	path := browser(t)
	childIn, in, err1 := os.Pipe()
	out, childOut, err2 := os.Pipe()
	profile, err3 := os.MkdirTemp("", "console-chromium-")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, //nolint:gosec,noctx // the machine's browser, fixed arguments; it lives as long as the tests
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--remote-debugging-pipe",
		"--disable-dev-shm-usage", "--user-data-dir="+profile, "about:blank")
	cmd.Dir = profile
	cmd.ExtraFiles = []*os.File{childIn, childOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = childIn.Close(), childOut.Close()
	c := &chromium{cmd: cmd, in: in, done: make(chan struct{}), waiting: map[int]chan json.RawMessage{}, tabs: map[string]*devtools{}}
	go func() { defer close(c.done); c.read(out); _ = out.Close() }()
	return c
}

// read takes messages until the browser goes away.
func (c *chromium) read(out *os.File) {
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID        int
			Method    string
			SessionID string
			Params    json.RawMessage
			Result    json.RawMessage
			Error     json.RawMessage
		}
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		c.mu.Lock()
		switch m.Method {
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.requestWillBeSent":
			if d := c.tabs[m.SessionID]; d != nil {
				d.console = append(d.console, m.Method+" "+string(m.Params))
			}
		}
		if answer := c.waiting[m.ID]; answer != nil && m.ID != 0 {
			delete(c.waiting, m.ID)
			if m.Error != nil {
				m.Result = append([]byte(failed), append(m.Error, '}')...)
			}
			answer <- m.Result
		}
		c.mu.Unlock()
	}
}

// later lets the page's clock be so many milliseconds further.
func (d *devtools) later(ms int) {
	d.t.Helper()
	d.eval(fmt.Sprintf(`(() => { const now = performance.now.bind(performance); performance.now = () => now() + %d; return 1; })()`, ms))
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

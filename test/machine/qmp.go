package machine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// monitor speaks QMP, QEMU's own protocol: one JSON object a line.
type monitor struct {
	c net.Conn
	r *bufio.Reader
	// events counts what QEMU has told of itself, by its words.
	events map[string]int
}

// dialMonitor waits for the socket and says hello.
func dialMonitor(path string, within time.Duration) (*monitor, error) {
	deadline := time.Now().Add(within)
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			if time.Now().After(deadline) {
				return nil, fmt.Errorf("machine: monitor: %w", err)
			}
			time.Sleep(10 * time.Millisecond) // The pause of a poll.
			continue
		}
		m := &monitor{c: c, r: bufio.NewReader(c), events: map[string]int{}}
		if err := c.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("machine: monitor: %w", err)
		}
		if _, err := m.r.ReadBytes('\n'); err != nil { // The greeting.
			return nil, fmt.Errorf("machine: monitor: %w", err)
		}
		return m, m.do("qmp_capabilities")
	}
}

// do runs a command without arguments.
func (m *monitor) do(command string) error {
	_, err := m.ask(command, nil)
	return err
}

// human runs a command of QEMU's monitor for people.
func (m *monitor) human(line string) (string, error) {
	raw, err := m.ask("human-monitor-command", map[string]string{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("machine: monitor: %s: %w", line, err)
	}
	return text, nil
}

// ask runs a command. Events that come before its answer are counted and passed over.
func (m *monitor) ask(command string, arguments map[string]string) (json.RawMessage, error) {
	if err := m.c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, fmt.Errorf("machine: monitor: %w", err)
	}
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.c).Encode(request); err != nil {
		return nil, fmt.Errorf("machine: monitor: %s: %w", command, err)
	}
	for {
		line, err := m.r.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("machine: monitor: %s: %w", command, err)
		}
		var answer struct {
			Event  string          `json:"event"`
			Error  json.RawMessage `json:"error"`
			Return json.RawMessage `json:"return"`
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			return nil, fmt.Errorf("machine: monitor: %s: %w", command, err)
		}
		switch {
		case answer.Event != "":
			m.events[answer.Event]++
		case answer.Error != nil:
			return nil, fmt.Errorf("machine: monitor: %s: %s", command, answer.Error)
		case answer.Return != nil:
			return answer.Return, nil
		}
	}
}

func (m *monitor) close() { _ = m.c.Close() }

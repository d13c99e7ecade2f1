package machine

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Lines are what is wired to the machine's GPIO lines: it reads what they put out, and holds what goes in. The chip is the PL061
// of QEMU's virt machine; the way to it is QEMU's own test protocol, one line of text each way.
type Lines struct {
	mu   sync.Mutex
	conn net.Conn
	in   *bufio.Reader
	chip string
	held map[int]bool
}

// plData is the address of the PL061's data register, with an address that masks no line.
const plData = 0x09030000 + 0xff<<2

// connect takes hold of the wires of a machine that was just switched on.
func (l *Lines) connect(socket string, m *monitor) error {
	tree, err := m.human("info qom-tree")
	if err != nil {
		return err
	}
	device := regexp.MustCompile(`/(device\[\d+\]) \(pl061\)`).FindStringSubmatch(tree)
	if device == nil {
		return fmt.Errorf("machine: lines: no PL061 in QEMU's tree:\n%s", tree)
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("machine: lines: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.in, l.chip = c, bufio.NewReader(c), "/machine/unattached/"+device[1]
	return nil
}

// do sends one request and returns its answer.
func (l *Lines) do(request string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return "", errors.New("machine: lines: the machine is off")
	}
	if err := l.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", fmt.Errorf("machine: lines: %w", err)
	}
	if _, err := fmt.Fprintln(l.conn, request); err != nil {
		return "", fmt.Errorf("machine: lines: %w", err)
	}
	answer, err := l.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("machine: lines: %w", err)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(answer), "OK")
	if !ok {
		return "", fmt.Errorf("machine: lines: %s: %s", request, answer)
	}
	return strings.TrimSpace(rest), nil
}

// Set holds an input of the machine at a level until it is told otherwise, over its resets.
func (l *Lines) Set(line int, high bool) error {
	l.mu.Lock()
	l.held[line] = high
	l.mu.Unlock()
	return l.put(line, high)
}

func (l *Lines) put(line int, high bool) error {
	level := map[bool]int{true: 1}[high]
	l.mu.Lock()
	chip := l.chip
	l.mu.Unlock()
	_, err := l.do(fmt.Sprintf("set_irq_in %s unnamed-gpio-in %d %d", chip, line, level))
	return err
}

// Short wires an output to the supply behind the chip's back, or no more: whatever the computer puts out, the line is high.
func (l *Lines) Short(line int, on bool) error {
	const direction = 0x09030000 + 0x400
	outputs, err := l.read(direction)
	if err != nil {
		return err
	}
	// A line that is an input takes its level from outside.
	if outputs |= 1 << line; on {
		outputs &^= 1 << line
	}
	if _, err := l.do(fmt.Sprintf("writel %#x %#x", direction, outputs)); err != nil {
		return err
	}
	return l.put(line, on)
}

// hold puts all inputs to their levels again: a reset of the chip forgets them.
func (l *Lines) hold() error {
	l.mu.Lock()
	held := maps.Clone(l.held)
	l.mu.Unlock()
	for line, high := range held {
		if err := l.put(line, high); err != nil {
			return err
		}
	}
	return nil
}

// High says whether a line of the chip is high now.
func (l *Lines) High(line int) (bool, error) {
	levels, err := l.read(plData)
	return levels>>line&1 == 1, err
}

// read reads a register.
func (l *Lines) read(address int) (uint64, error) {
	answer, err := l.do(fmt.Sprintf("readl %#x", address))
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(answer, "0x"), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("machine: lines: %q: %w", answer, err)
	}
	return v, nil
}

// close lets go of them.
func (l *Lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.conn = nil
}

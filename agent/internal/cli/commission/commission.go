// Package commission is the subcommand `robowarden commission`: it tells a technician what to do in a proof test, step by step,
// and passes his confirmations on to the guard; it never moves the robot and judges nothing.
package commission

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/contract"
)

// ErrFailed means that the robot did not pass, or that the test was not done; it has been told. The program exits with 1.
var ErrFailed = errors.New("the proof test was not passed")

// Figures of the tool.
const (
	// pollEvery is how often the guard is told that the technician is still there, and asked how far it is.
	pollEvery = 150 * time.Millisecond
	// askTimeout is how long the guard has to answer.
	askTimeout = 2 * time.Second
	// mostFailures is how many runs of one step in a row may go wrong before the test goes on to the next.
	mostFailures = 3
)

// session is one technician's test.
type session struct {
	socket, id string
	mps        float64
	json       bool
	in         <-chan struct{}
	out, err   io.Writer
	ask        func(context.Context, string, contract.TrialRequest) (contract.TrialReport, error)
	poll       time.Duration
}

// New returns the subcommand.
func New() *cobra.Command {
	var (
		s               session
		format          string
		record, install string
	)
	cmd := &cobra.Command{
		Use:   "commission --out RECORD.json",
		Short: "Guide a proof test of this robot: how it stops, by each rung, without commands, by each input",
		Long: `Commission guides a technician through a proof test of the robot, with the guard running. He drives the robot by hand, over the
channel by which he always does; the guard stops it and measures. The guard never moves the robot by itself, and never lets
it do more than the policy allows.

Each run begins when the technician presses Enter, on a robot that stands and that nobody commands. Pressing Enter during a
run, Ctrl-C and the end of this program end the test at once, and the robot is held until it stands and nobody commands it.

What was measured is written to --out, for a technician to sign on his own computer:
  robowarden-station sign commissioning RECORD.json --key TECHNICIAN.key --out RECORD.dsse.json
and put into force on the robot with --install. docs/commissioning.md tells the whole way.

Exit status: 0 every item passed, or the record is in force; 1 not, and the reason was told; 2 the command was used wrongly.`,
		Example:       "  robowarden commission --speed 0.5 --out record.json\n  robowarden commission --install record.dsse.json",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--output: expected text or json, found %q", format)
			}
			s.json, s.out, s.err, s.ask, s.poll = format == "json", cmd.OutOrStdout(), cmd.ErrOrStderr(), contract.Trial, pollEvery
			if (record == "") == (install == "") {
				return errors.New("expected either --out, the file for what is measured, or --install, a signed record")
			}
			if install != "" {
				return s.install(cmd.Context(), install)
			}
			if _, err := os.Lstat(record); err == nil {
				return fmt.Errorf("%s exists already: choose another name, nothing is ever written over", record)
			}
			var id [8]byte
			_, _ = rand.Read(id[:]) // It never fails: crypto/rand ends the program instead.
			s.id, s.in = hex.EncodeToString(id[:]), lines(cmd.InOrStdin())
			return s.run(cmd.Context(), record)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.socket, "socket", "/run/robowarden/control.sock", "the guard's control socket")
	f.Float64Var(&s.mps, "speed", 0.5, "the fastest that the robot may drive in the test, in m/s; faster drives give better figures")
	f.StringVar(&record, "out", "", "where to write what was measured; it must not exist yet")
	f.StringVar(&install, "install", "", "a signed record to put into force")
	f.StringVar(&format, "output", "text", "text for people, json for programs: one object a line")
	return cmd
}

// lines tells of each line that is read, and is closed at the end.
func lines(r io.Reader) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			out <- struct{}{}
		}
	}()
	return out
}

// request asks the guard.
func (s *session) request(ctx context.Context, op string, step int) (contract.TrialReport, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s.ask(ctx, s.socket, contract.TrialRequest{Op: op, Session: s.id, Step: step, MPS: s.mps})
}

// say tells the technician something: on the error output where the other one is for programs.
func (s *session) say(format string, a ...any) {
	w := s.out
	if s.json {
		w = s.err
	}
	fmt.Fprintf(w, format+"\n", a...)
}

// emit gives programs a report.
func (s *session) emit(r *contract.TrialReport) {
	if s.json {
		_ = json.NewEncoder(s.out).Encode(r) // a reader who is gone learns nothing
	}
}

// install puts a signed record into force.
func (s *session) install(ctx context.Context, file string) error {
	envelope, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := s.ask(ctx, s.socket, contract.TrialRequest{Op: "install", Record: envelope})
	if err != nil {
		return err
	}
	s.emit(&r)
	if !r.Accepted {
		s.say("refused: %s", r.Text)
		return ErrFailed
	}
	s.say("%s", r.Text)
	return nil
}

// run does the whole test.
func (s *session) run(ctx context.Context, record string) error {
	r, err := s.begin(ctx)
	if err != nil {
		return err
	}
	for step := range r.Steps {
		if r, err = s.step(ctx, step, r); err != nil {
			s.end()
			return err
		}
	}
	if r, err = s.request(ctx, "finish", 0); err != nil {
		return err
	}
	s.emit(&r)
	passed := r.Accepted
	for _, it := range r.Items {
		s.say("%-24s %-13s %s", it.Name, it.Result, it.Text)
		passed = passed && it.Result == "passed"
	}
	s.say("%s", r.Text)
	if len(r.Record) > 0 {
		if err := writeWhole(record, r.Record); err != nil {
			return err
		}
		s.say("what was measured is in %s", record)
	}
	if !passed {
		return ErrFailed
	}
	return nil
}

// begin waits for nothing: who tests a robot brings it to rest first.
func (s *session) begin(ctx context.Context) (contract.TrialReport, error) {
	r, err := s.request(ctx, "begin", 0)
	if err != nil {
		return r, err
	}
	s.emit(&r)
	if !r.Accepted {
		s.say("the test does not begin: %s", r.Text)
		return r, ErrFailed
	}
	s.say("The robot is held between the drives. Keep an emergency stop at hand and the way ahead free, %d steps:", len(r.Steps))
	for i, st := range r.Steps {
		s.say("  %d. %s", i+1, what(&st))
	}
	return r, nil
}

// end lets the guard end the test, whatever has become of the command's own context.
func (s *session) end() {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	r, err := s.request(ctx, "end", 0)
	if err != nil {
		return // the confirmation runs out, and the guard has kept what failed
	}
	s.emit(&r)
	for _, it := range r.Items {
		if it.Result == "failed" {
			s.say("%-24s %-13s %s\n  This counts although the test was not finished: no record does until the robot passes.", it.Name, it.Result, it.Text)
		}
	}
}

// step does runs until the step's figures are good enough, or too many in a row went wrong.
func (s *session) step(ctx context.Context, step int, r contract.TrialReport) (contract.TrialReport, error) {
	for failed := 0; failed < mostFailures; {
		st := r.Steps[step]
		if st.Needs == 0 && !st.Better {
			break
		}
		more := fmt.Sprintf("%d more at least", st.Needs)
		if st.Needs == 0 {
			more = "another makes the figures good enough"
		}
		s.say("\nStep %d of %d, %s (%s).\n  %s\n  Press Enter when ready.", step+1, len(r.Steps), what(&st), more, instruction(&st, s.mps))
		if err := s.ready(ctx, step); err != nil {
			return r, err
		}
		next, err := s.follow(ctx, step)
		if err != nil {
			return r, err
		}
		if r = next; r.Ended != "" {
			failed++
		} else {
			failed = 0
		}
	}
	return r, nil
}

// ready waits until the technician presses Enter on a robot that stands, and begins the run. An Enter that came too early is
// forgotten: the run would begin when nobody expects it.
func (s *session) ready(ctx context.Context, step int) error {
	t := time.NewTicker(s.poll)
	defer t.Stop()
	for {
		pressed := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-s.in:
			if !ok {
				s.say("the input ended, and so does the test")
				return ErrFailed
			}
			pressed = true
		case <-t.C:
		}
		op := "keep"
		if pressed {
			op = "go"
		}
		r, err := s.request(ctx, op, step)
		switch {
		case err != nil:
			return err
		case over(&r):
			s.say("the test is over: %s", reason(&r))
			return ErrFailed
		case pressed && r.Accepted:
			return nil
		case pressed:
			s.say("  not yet: %s; then press Enter again", r.Text)
		}
	}
}

// follow shows how a run goes until it ends. Enter ends the test.
func (s *session) follow(ctx context.Context, step int) (contract.TrialReport, error) {
	t := time.NewTicker(s.poll)
	defer t.Stop()
	phase, runs := "", int64(-1)
	for {
		select {
		case <-ctx.Done():
			return contract.TrialReport{}, ctx.Err()
		case <-s.in:
			s.say("ended by the technician")
			return contract.TrialReport{}, ErrFailed
		case <-t.C:
		}
		r, err := s.request(ctx, "keep", step)
		if err != nil {
			return r, err
		}
		if runs < 0 {
			runs = int64(r.Runs)
			if r.Phase == "waiting" {
				runs-- // it ended before it was looked at
			}
		}
		switch {
		case over(&r):
			s.say("the test is over: %s", reason(&r))
			return r, ErrFailed
		case int64(r.Runs) > runs:
			s.emit(&r)
			if r.Ended != "" {
				s.say("  this run does not count: %s", r.Ended)
			} else {
				s.say("  measured")
			}
			return r, nil
		case r.Phase != phase:
			phase = r.Phase
			s.say("  %s", progress(&r))
		}
	}
}

// writeWhole writes a new file, whole or not at all.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".record-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	return errors.Join(err, os.Remove(f.Name()))
}

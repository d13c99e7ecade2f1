// Package heartbeat is the operator's desk as a command of the station: it answers a robot's challenges while somebody is there.
package heartbeat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/desk"
)

// flags are the command's.
type flags struct {
	line                      desk.Line
	bus, robot, endpoint, key string
	run                       bool
	silence, farewell         time.Duration
}

// New returns the command.
func New() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "heartbeat --robot MANUFACTURER/SERIAL --key FILE", Short: "Be the operator's desk that a robot lives by: answer its challenges", Args: cli.Args(cobra.NoArgs),
		Long: "Answer a robot's challenges with an endpoint's key, on ROS 1 or ROS 2. The robot holds when the answers stay away and\n" +
			"stops when they stay away for longer; it is not to be run on the robot.\n\n" +
			"The desk checks in at stop. Then Enter lets the robot run, and Enter again asks it to stop; lines \"run\" and \"stop\" do\n" +
			"the same by name. With --run it lets the robot run once it has checked in, and standard input is not read.\n" +
			"SIGTERM or Ctrl-C asks for a stop, waits until the robot says that it has heard it, and ends.\n\n" +
			"Exit 0 after a stop that was heard, or if the robot was never let run; 1 if nobody confirmed the stop, no challenge came\n" +
			"or the bus failed; 2 after wrong use.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return f.serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	s := cmd.Flags()
	s.StringVar(&f.bus, "bus", config.BusROS1, "the robot's bus: ros1 or ros2")
	s.StringVar(&f.robot, "robot", "", "the robot, as the policy set names it: manufacturer/serial")
	s.StringVar(&f.endpoint, "endpoint", "operator", "the endpoint of the policy's channels")
	s.StringVar(&f.key, "key", "", "file with the endpoint's key: 64 hexadecimal digits, mode 0600")
	s.StringVar(&f.line.Node, "node", "/operator_console", "this desk's name on the bus, as the topic mapping lists it")
	s.StringVar(&f.line.Guard, "guard", "/robowarden", "the guard's name on the bus")
	s.StringVar(&f.line.Challenge, "challenge", "/robowarden/challenge", "topic of the challenges")
	s.StringVar(&f.line.Response, "response", "/robowarden/response", "topic of the answers")
	s.StringVar(&f.line.MasterURI, "master", "http://127.0.0.1:11311/", "the ROS 1 master")
	s.StringVar(&f.line.Host, "host", "127.0.0.1", "this computer's address on the robot's network")
	s.IntVar(&f.line.Domain, "domain", 0, "the DDS domain (ROS_DOMAIN_ID)")
	s.BoolVar(&f.line.Multicast, "multicast", false, "find the robot by multicast")
	s.StringSliceVar(&f.line.Peers, "peer", nil, "address at which to find the robot without multicast")
	s.BoolVar(&f.run, "run", false, "let the robot run once checked in, without asking")
	s.DurationVar(&f.silence, "silence", 2*time.Second, "how long no challenge may come before that is said")
	s.DurationVar(&f.farewell, "farewell", 5*time.Second, "how long to wait at the end for the robot to hear the stop")
	return cmd
}

// check finds what is missing.
func (f *flags) check(cmd *cobra.Command) error {
	switch {
	case f.bus != config.BusROS1 && f.bus != config.BusROS2:
		return cli.Usage(cmd, fmt.Errorf("--bus: expected %s or %s, found %q", config.BusROS1, config.BusROS2, f.bus))
	case f.robot == "" || strings.ContainsAny(f.robot, " \t\r\n") || !strings.Contains(f.robot, "/"):
		return cli.Usage(cmd, fmt.Errorf("--robot: expected manufacturer/serial, found %q; `robowarden status` says it", f.robot))
	case f.endpoint == "" || strings.ContainsAny(f.endpoint, " \t\r\n"):
		return cli.Usage(cmd, fmt.Errorf("--endpoint: expected one of the policy's channels, found %q", f.endpoint))
	case f.key == "":
		return cli.Usage(cmd, errors.New("--key is missing: expected the file of the endpoint's key"))
	case f.silence <= 0 || f.farewell <= 0:
		return cli.Usage(cmd, errors.New("--silence and --farewell: expected more than 0s"))
	}
	f.line.ROS2 = f.bus == config.BusROS2
	return nil
}

// serve runs the desk until the context ends, and then says goodbye.
func (f *flags) serve(ctx context.Context, in io.Reader, out io.Writer) error {
	key, err := config.ReadSecret(f.key)
	if err != nil {
		return err
	}
	d := desk.New(f.robot, f.endpoint, key.Bytes())
	d.Run(f.run)
	heard := make(chan error, 64)
	f.line.Log = zerolog.Nop()
	link, err := desk.Open(f.line, d, func(err error) {
		select {
		case heard <- err:
		default: // The person is told of the next one.
		}
	})
	if err != nil {
		return err
	}
	open, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	ended := make(chan error, 1)
	go func() { ended <- link.Run(open) }()
	lines := make(chan string)
	if !f.run {
		go read(in, lines)
	}
	t := teller{out: out, d: d, robot: f.robot}
	t.say("waiting for challenges to %q of %s on %s (%s)", f.endpoint, f.robot, f.line.Challenge, f.bus)
	answer := f.loop(ctx, &t, heard, lines, ended)
	shut()
	return errors.Join(answer, t.lost(<-ended))
}

// loop tells the person what goes on, until the end.
func (f *flags) loop(ctx context.Context, t *teller, heard <-chan error, lines <-chan string, ended chan error) error {
	done, over := ctx.Done(), (<-chan time.Time)(nil)
	silence := time.NewTimer(f.silence)
	defer silence.Stop()
	for {
		select {
		case err := <-heard:
			if err == nil {
				silence.Reset(f.silence)
			}
			t.hear(err)
		case l := <-lines:
			t.obey(l)
		case <-silence.C:
			t.say("no challenge for %v: look at the robot, its guard and the network; the robot holds by itself", f.silence)
			t.phase = ""
		case <-done:
			wait, err := t.leave()
			if !wait {
				return err
			}
			done, over = nil, time.After(f.farewell)
		case <-over:
			t.say("nobody has confirmed the stop; without answers the robot holds and stops by itself")
			return cli.ErrNo
		case err := <-ended:
			ended <- nil
			return err
		}
		if over != nil && t.stopped() {
			t.say("the robot has heard the stop")
			return nil
		}
	}
}

// read hands on what the person types.
func read(in io.Reader, lines chan<- string) {
	for s := bufio.NewScanner(in); s.Scan(); {
		lines <- strings.TrimSpace(s.Text())
	}
}

// teller tells the person what the robot says, once for each change.
type teller struct {
	out   io.Writer
	d     *desk.Desk
	robot string
	phase desk.Phase
	boot  string
	// odd is the last thing that was wrong with a line.
	odd     string
	leaving bool
	// ran is true once the robot was let run; since is how many answers had been given when the stop was asked for.
	ran   bool
	since int
}

func (t *teller) say(format string, a ...any) {
	fmt.Fprintf(t.out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, a...))
}

// hear tells of a challenge that was answered, or of a line that was not.
func (t *teller) hear(err error) {
	if err != nil {
		if text := err.Error(); text != t.odd {
			t.odd = text
			t.say("not answered: %s", text)
		}
		return
	}
	s := t.d.State()
	if t.boot != "" && s.Boot != t.boot {
		t.say("the robot's computer has started anew (boot %.8s)", s.Boot)
	}
	t.boot = s.Boot
	if s.Phase == t.phase {
		return
	}
	t.phase = s.Phase
	switch s.Phase {
	case desk.Away:
		t.say("checking in at stop")
	case desk.CheckedIn:
		if t.d.Asks() {
			t.say("checked in at stop")
		} else {
			t.say("checked in at stop; press Enter to let the robot run")
		}
	case desk.Running:
		t.ran = true
		t.say("RUNNING: the robot may move")
	case desk.Stopped:
		t.say("STOPPED: the robot stays stopped until somebody signs a reset")
	}
}

// obey does what the person asks for.
func (t *teller) obey(line string) {
	switch {
	case t.leaving:
	case line == "run", line == "" && !t.d.Asks():
		t.d.Run(true)
		t.say("asked: run")
	case line == "stop", line == "":
		t.d.Run(false)
		t.say("asked: stop")
	default:
		t.say("not understood: %.40q; expected run, stop or Enter alone", line)
	}
}

// leave asks for a stop at the end. It returns false if there is nothing to wait for.
func (t *teller) leave() (wait bool, err error) {
	s := t.d.State()
	if s.Answers == 0 {
		t.say("no challenge ever came: look at --guard, --challenge, --robot and the network")
		return false, cli.ErrNo
	}
	t.leaving, t.since = true, s.Answers
	asked := t.d.Asks()
	t.d.Run(false)
	if !asked && !t.ran {
		return false, nil
	}
	t.say("leaving: asking for a stop")
	return true, nil
}

// stopped says whether a challenge after the stop was asked for says that it was heard.
func (t *teller) stopped() bool {
	s := t.d.State()
	return s.Answers > t.since+1 && (s.Phase == desk.Stopped || s.Phase == desk.Away || s.Phase == desk.CheckedIn)
}

// lost tells of a bus that failed.
func (t *teller) lost(err error) error {
	if err != nil {
		return fmt.Errorf("the bus: %w", err)
	}
	return nil
}

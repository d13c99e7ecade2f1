package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/demo"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/configs"
)

const (
	demoSerial = "demo-humanoid-01"
	demoRobot  = "robowarden-demo/" + demoSerial
	demoSelf   = "/robowarden"
)

// closeTimeout bounds how long the journal may take to be written at the end.
const closeTimeout = 5 * time.Second

// demoFlags is how the demonstration is played.
type demoFlags struct {
	headless, fast bool
	speed          float64
	seed           uint64
	address, keep  string
	bus            busName
}

// busName is the value of --bus.
type busName string

// String is pflag.Value's.
func (b *busName) String() string { return string(*b) }

// Type is pflag.Value's.
func (b *busName) Type() string { return "bus" }

// Set is pflag.Value's.
func (b *busName) Set(s string) error {
	if s != config.BusROS1 && s != config.BusROS2 {
		return fmt.Errorf("expected %s or %s", config.BusROS1, config.BusROS2)
	}
	*b = busName(s)
	return nil
}

func newDemo() *cobra.Command {
	f := demoFlags{bus: config.BusROS1}
	cmd := &cobra.Command{
		Use: "demo", Short: "Play a day of a hospital robot under the guard, and measure every reaction", Args: cli.Args(cobra.NoArgs),
		Long: "Play a day of a simulated humanoid in a hospital of two storeys under the real guard: deliveries, a ward that closes,\n" +
			"a planner that drives at the pharmacy, a control channel that fails, joints that go silent, a signed reset.\n" +
			"Every reaction is measured from the simulation's truth, not from the guard's own word. Exit 0 only if each came in time.\n\n" +
			"With --bus ros2 the robot and the guard are two participants of a DDS domain on the loopback: every message goes over it,\n" +
			"serialised as ROS 2 does, and discovery finds who publishes. The world stands still while something is on its way, since\n" +
			"the day passes faster than the clock; services are called past the domain. With --bus ros1 the world stands in for the bus.",
		RunE: func(cmd *cobra.Command, _ []string) error { return playDemo(cmd.Context(), cmd.OutOrStdout(), f) },
	}
	cmd.Flags().BoolVar(&f.headless, "headless", false, "serve no page")
	cmd.Flags().BoolVar(&f.fast, "fast", false, "as fast as the computer can, not in step with the clock")
	cmd.Flags().Float64Var(&f.speed, "speed", 4, "seconds of the robot's day per second")
	cmd.Flags().Uint64Var(&f.seed, "seed", 7, "the day's chance: the same seed plays the same day")
	cmd.Flags().StringVar(&f.address, "listen", "127.0.0.1:8600", "where the page is served, loopback only")
	cmd.Flags().Var(&f.bus, "bus", "the robot's bus: ros1 or ros2")
	cmd.Flags().StringVar(&f.keep, "journal", "", "keep the guard's journal in this folder")
	return cmd
}

// demoFiles writes the embedded documents where the loader finds them, as on a robot. For another bus the profile's word
// for it is another, and so the policy's pin of the profile; nothing else differs.
func demoFiles(dir, bus string) ([]string, error) {
	var files []string
	var before, after string
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml"} {
		raw, err := fs.ReadFile(configs.FS(), configs.Demo+"/"+name)
		if err != nil {
			return nil, fmt.Errorf("embedded document: %w", err)
		}
		switch name {
		case "profile.yaml":
			before = fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
			raw = bytes.Replace(raw, []byte("\nbus: "+config.BusROS1), []byte("\nbus: "+bus), 1)
			after = fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
		case "policy.yaml":
			raw = bytes.Replace(raw, []byte(before), []byte(after), 1)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}

func playDemo(ctx context.Context, out io.Writer, f demoFlags) (err error) {
	dir, err := os.MkdirTemp("", "robowarden-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files, err := demoFiles(dir, string(f.bus))
	if err != nil {
		return err
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		return err
	}
	cfg.Deployment = &config.Deployment{Serial: demoSerial}
	folder := f.keep
	if folder == "" {
		folder = filepath.Join(dir, "journal")
	}
	log, closeLog, err := demoJournal(ctx, folder)
	if err != nil {
		return err
	}
	colour := demo.UseColour(cli.IsTerminal(os.Stdout), os.LookupEnv)
	rig := demo.Rig{Config: cfg, Self: demoSelf, Journal: demoRecorder{log}, Log: zerolog.Nop()}
	o := demo.Options{
		Seed: f.seed, Robot: demoRobot, Key: []byte("a key that everybody may know 1234"), Start: rig.Start,
		Zones: demo.ZonesOf(cfg.Policy, demoSerial), Footprint: demo.FootprintOf(cfg.Profile),
		Timezone: cfg.Policy.Timezone.Location, Tell: demo.NewTeller(out, colour), Speed: f.speed,
	}
	if f.fast {
		o.Speed = 0
	}
	stopPage := func() error { return nil }
	if !f.headless {
		o.Board = &console.Board{}
		if stopPage, err = servePage(ctx, out, o.Board, f.address); err != nil {
			return errors.Join(err, closeLog())
		}
	}
	r, err := demo.Run(ctx, o)
	err = errors.Join(err, closeLog(), stopPage())
	if err != nil {
		return err
	}
	if err := r.Write(out, colour); err != nil {
		return err
	}
	if err := replayDay(out, folder, cfg); err != nil {
		return err
	}
	if !r.OK {
		return cli.ErrNo
	}
	return nil
}

// demoRecorder is the real journal, as the guard has it on a robot.
type demoRecorder struct{ log *journal.Log }

// Append is guard.Recorder's.
func (d demoRecorder) Append(kind uint8, boot time.Duration, payload []byte, urgent bool) (uint64, bool) {
	return d.log.Append(journal.Kind(kind), boot, payload, urgent)
}

// demoJournal opens a journal that is large enough for a day that passes in seconds.
func demoJournal(ctx context.Context, folder string) (*journal.Log, func() error, error) {
	began := time.Now()
	o := journal.DefaultOptions([16]byte{0xde, 0x30}, func() time.Duration { return time.Since(began) })
	o.RingBytes = 32 << 20
	log, err := journal.Open(folder, o)
	if err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	return log, func() error {
		closing, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		err := log.Close(closing)
		stop()
		return errors.Join(err, <-done)
	}, nil
}

// servePage shows the day on a page of this computer.
func servePage(ctx context.Context, out io.Writer, board *console.Board, address string) (func() error, error) {
	h, err := console.Handler(board, console.DefaultOptions())
	if err != nil {
		return nil, err
	}
	l, err := console.Listen(ctx, address)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "The page of this day: http://%s/\n", l.Addr())
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- console.Serve(ctx, l, h) }()
	return func() error { stop(); return <-done }, nil
}

// replayDay runs the journal of the day through the same core again: every decision has to come out as it was.
func replayDay(out io.Writer, folder string, cfg *config.Config) error {
	report, err := journal.Verify(folder)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	r, err := replay.Dir(folder, func(replay.Start) (*guard.Params, error) { return guard.NewParams(cfg, demoSelf, 1) })
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	intact := "intact"
	if !report.OK() {
		intact = "NOT INTACT"
	}
	fmt.Fprintf(out, "\nJournal: %d records, %s. Replayed: %d events, %d of %d decisions differ (digest %016x).\n",
		report.Records, intact, r.Events, len(r.Mismatches), r.Events, r.Digest)
	if !report.OK() || !r.OK() {
		raw, _ := json.Marshal(r.Mismatches)
		fmt.Fprintf(out, "%s\n", raw)
		return cli.ErrNo
	}
	return nil
}

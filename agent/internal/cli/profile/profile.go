// Package profile is the subcommand `robowarden profile`; it looks at a robot's bus, never commands anything there, and
// writes two new files, never over old ones.
package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/config/draft"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/ros1"
	"github.com/robowarden/robowarden/hal/ros2"
)

// maxURDF is the largest description that is read.
const maxURDF = 16 << 20

// flags are those of init.
type flags struct {
	fromGraph               bool
	bus, master, host, node string
	urdf, out               string
	domain                  int
	multicast               bool
	peers                   []string
	listen                  time.Duration
}

// New returns the subcommand.
func New() *cobra.Command {
	cmd := &cobra.Command{Use: "profile", Short: "Write a robot's first profile", Args: cobra.NoArgs}
	cmd.AddCommand(newInit())
	return cmd
}

func newInit() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "init --from-graph",
		Short: "Draft a profile and a topic mapping from a running robot's bus and its URDF",
		Long: `Init looks at the topics, nodes and services of a running robot and at its URDF, and writes profile.yaml and topics.yaml.
It only reads. What it cannot know, such as how fast the robot stops, is left empty and marked TO DO: robowarden check
then lists every open key with what is expected and an example.

On ROS 1 the URDF is taken from the parameter /robot_description where --urdf names no file.

Exit status: 0 both files are written, 1 they are not, and the reason was told.`,
		Example: `  robowarden profile init --from-graph --out draft
  robowarden profile init --from-graph --bus ros2 --domain 7 --urdf robot.urdf --out draft
  robowarden check draft/profile.yaml draft/topics.yaml`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	s := cmd.Flags()
	s.BoolVar(&f.fromGraph, "from-graph", false, "look at a running robot's bus; there is no other source yet, and none by default")
	s.StringVar(&f.bus, "bus", config.BusROS1, "the robot's bus: ros1 or ros2")
	s.StringVar(&f.master, "master", "http://127.0.0.1:11311/", "the ROS 1 master")
	s.StringVar(&f.host, "host", "127.0.0.1", "this computer's address on the robot's network")
	s.StringVar(&f.node, "node", "/robowarden_profile", "this program's name on the bus")
	s.IntVar(&f.domain, "domain", 0, "the DDS domain (ROS_DOMAIN_ID)")
	s.BoolVar(&f.multicast, "multicast", true, "find nodes by multicast")
	s.StringSliceVar(&f.peers, "peer", nil, "address at which to find nodes without multicast")
	s.DurationVar(&f.listen, "listen", 5*time.Second, "how long to listen for DDS nodes")
	s.StringVar(&f.urdf, "urdf", "", "the robot's description, with every xacro macro expanded")
	s.StringVar(&f.out, "out", ".", "the folder for the two files")
	return cmd
}

func (f *flags) check() error {
	switch {
	case !f.fromGraph:
		return errors.New("expected --from-graph: a profile is drafted from a running robot")
	case f.bus != config.BusROS1 && f.bus != config.BusROS2:
		return fmt.Errorf("--bus: expected %s or %s, found %q", config.BusROS1, config.BusROS2, f.bus)
	case f.listen < time.Second || f.listen > time.Minute:
		return fmt.Errorf("--listen: expected 1s to 1m, found %v", f.listen)
	}
	return nil
}

func (f *flags) run(ctx context.Context, out io.Writer) error {
	in := draft.Input{Bus: f.bus}
	var err error
	if f.urdf != "" {
		if in.URDF, err = readURDF(f.urdf); err != nil {
			return err
		}
		in.URDFFile = filepath.Base(f.urdf)
	}
	if f.bus == config.BusROS2 {
		in.Inventory, err = f.dds(ctx, out)
	} else {
		err = f.ros1(ctx, &in)
	}
	if err != nil {
		return err
	}
	if len(in.Inventory.Topics) == 0 {
		return errors.New("the bus shows no topic at all: is the robot running, and are these the right address and domain?")
	}
	docs, err := draft.Make(in)
	if err != nil {
		return err
	}
	return f.write(docs, out)
}

func readURDF(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--urdf: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxURDF+1))
	if err != nil {
		return nil, fmt.Errorf("--urdf: %w", err)
	}
	if len(raw) > maxURDF {
		return nil, fmt.Errorf("--urdf: %s has more than %d bytes", file, maxURDF)
	}
	return raw, nil
}

// ros1 asks the master. A robot without a description is no error.
func (f *flags) ros1(ctx context.Context, in *draft.Input) error {
	n, err := ros1.New(ros1.Config{Name: f.node, MasterURI: f.master, Host: f.host, Clock: host.Clock{}.Boot, Log: zerolog.Nop()})
	if err != nil {
		return fmt.Errorf("ros 1: %w", err)
	}
	defer func() { _ = n.Close() }()
	if in.Inventory, err = n.Inventory(ctx); err != nil {
		return fmt.Errorf("ros 1 master %s: %w; is it running there?", f.master, err)
	}
	if in.URDF == nil {
		if text, err := n.TextParameter(ctx, "/robot_description"); err == nil {
			in.URDF, in.URDFFile = []byte(text), "robot.urdf"
		}
	}
	return nil
}

// dds listens for a while; nodes tell of themselves when they like.
func (f *flags) dds(ctx context.Context, out io.Writer) (*bus.Inventory, error) {
	clock := host.Clock{}
	n, err := ros2.New(ros2.Config{
		Name: f.node, Domain: f.domain, Host: f.host, Multicast: f.multicast, Peers: f.peers, Clock: clock.Boot, Civil: clock.Civil, Log: zerolog.Nop(),
	})
	if err != nil {
		return nil, fmt.Errorf("dds: %w", err)
	}
	fmt.Fprintf(out, "listening for %v on domain %d …\n", f.listen, f.domain)
	listening, stop := context.WithTimeout(ctx, f.listen)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case err := <-ended:
		return nil, errors.Join(errors.New("dds: the participant ended early"), err)
	case <-listening.Done():
	}
	v := n.Inventory()
	return v, errors.Join(ctx.Err(), n.Close(), <-ended)
}

// write writes the files, none over an old one, and tells what a person has to do.
func (f *flags) write(docs *draft.Documents, out io.Writer) error {
	if err := os.MkdirAll(f.out, 0o750); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	files := []struct {
		name string
		data []byte
	}{{"profile.yaml", docs.Profile}, {"topics.yaml", docs.Topics}}
	for _, file := range files {
		if _, err := os.Lstat(filepath.Join(f.out, file.name)); err == nil {
			return fmt.Errorf("%s is there already; a draft is never written over a document: move it, or give another --out", filepath.Join(f.out, file.name))
		}
	}
	var paths []string
	for _, file := range files {
		path := filepath.Join(f.out, file.name)
		if err := create(path, file.data); err != nil {
			return err
		}
		paths = append(paths, path)
		fmt.Fprintf(out, "%s: written, %d keys to do\n", path, strings.Count(string(file.data), "# TO DO"))
	}
	for _, n := range docs.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	fmt.Fprintf(out, "next: fill in what is marked TO DO; `robowarden check %s` explains each\n", strings.Join(paths, " "))
	return nil
}

func create(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

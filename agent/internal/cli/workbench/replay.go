// Package workbench is the safety engineer's commands of the station: replay recordings under a policy, draw what came of
// it, test, check and compare policies. It parses flags and prints; the cores decide.
package workbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/agent/report"
)

// replayFlags are replay's.
type replayFlags struct {
	policy, profile, topics, against, beside, documents, robot, floor, html string

	json, anyPublisher, obeyed, keepLatched, unattested bool
}

// NewReplay returns the command "replay".
func NewReplay() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE… --policy P --profile R",
		Short: "Run recordings through the guard's own cores, and see what a policy would have done",
		Long: `Replay runs what was recorded through the very cores that the robot runs, and tells what they would have decided:
modes, triggers with their margins, zones, commands that the gate would have cut, and how long the robot takes to stop.

FILE is a rosbag 1 (plain, LZ4 or bzip2), an MCAP file (ROS 1 or ROS 2 messages; plain, LZ4 or zstd), a folder of such
files, or a journal of robowarden. Bags of one drive may be given together. Without --topics, topics are found by their
types: good for a first look. A journal brings its documents along; each of its decisions is compared with what comes out
again, and with --policy another policy is given the same events. With --journal a recording that somebody else made of the same
drive is compared with it: each message that the guard took is looked for bit by bit, and put in the journalled one's place.

A recording cannot obey: the robot in it moves as it moved, whatever the policy says. What is assumed beside is listed in
the answer. Interrupting tells how far it came.

Exit status: 0 replayed, 1 the recording is damaged, was cut short, or a journal's decisions differ, 2 used wrongly.`,
		Example: `  robowarden-station replay drive.bag --policy policy.yaml --profile profile.yaml --topics topics.yaml --html report.html
  robowarden-station replay drive.bag --policy new.yaml --against old.yaml --profile profile.yaml --topics topics.yaml
  robowarden-station replay /var/lib/robowarden/journal
  robowarden-station replay drive.mcap --journal /var/lib/robowarden/journal`,
		Args: cli.Args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			p := newProgress(cmd.ErrOrStderr())
			defer p.end()
			if f.beside != "" {
				return f.agree(cmd, args)
			}
			r, err := f.run(ctx, args, p)
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			p.end()
			return f.answer(cmd, r)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.policy, "policy", "", "the policy, plain or signed is no matter: nothing is put into force")
	fl.StringVar(&f.profile, "profile", "", "the robot's profile")
	fl.StringVar(&f.topics, "topics", "", "the topic mapping; without it, topics are found by their types")
	fl.StringVar(&f.against, "against", "", "another policy to compare with: trips that came, went or moved, seconds of restriction")
	fl.StringVar(&f.beside, "journal", "", "compare with the guard's journal of the same drive")
	fl.StringVar(&f.documents, "documents", "", "for a journal: where the guard keeps its documents (documents in the state directory)")
	fl.StringVar(&f.robot, "robot", "", "the robot's serial number, where the policy lists several")
	fl.StringVar(&f.floor, "floor", "", "the floor, where the recording does not say")
	fl.StringVar(&f.html, "html", "", "write a report that needs no other file")
	fl.BoolVar(&f.json, "json", false, "print the whole answer as JSON")
	fl.BoolVar(&f.anyPublisher, "any-publisher", false, "listen to publishers that the mapping does not list, as in a recording of a playback")
	fl.BoolVar(&f.obeyed, "obeyed", false, "a guard was there: hold the robot to what is demanded of it")
	fl.BoolVar(&f.keepLatched, "keep-latched", false, "nobody resets what is latched")
	fl.BoolVar(&f.unattested, "unattested", false, "no verifier vouches for the robot's software")
	return cmd
}

// run replays recordings or a journal.
func (f *replayFlags) run(ctx context.Context, args []string, p *progress) (*replay.Report, error) {
	if len(args) == 1 && replay.IsJournal(args[0]) {
		return f.journal(ctx, args[0], p)
	}
	if f.policy == "" || f.profile == "" {
		return nil, answer.Usage("expected --policy and --profile beside a recording")
	}
	cfg, warn, err := loadLoose(f.policy, f.profile, f.topics)
	if err != nil {
		return nil, err
	}
	q := &replay.Question{
		Files: args, Config: cfg, Robot: f.robot, Floor: f.floor, AnyPublisher: f.anyPublisher, Obeyed: f.obeyed,
		KeepLatched: f.keepLatched, Unattested: f.unattested, Progress: p.bytes,
	}
	if f.against != "" {
		old, more, err := loadLoose(f.against, f.profile, f.topics)
		if err != nil {
			return nil, err
		}
		q.Against, warn = old.Policy, append(warn, more...)
	}
	r, err := replay.WhatIf(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted while the recording was looked at; nothing was replayed yet")
		}
		return nil, err
	}
	r.Warnings = append(warn, r.Warnings...)
	return r, nil
}

// journal replays a journal.
func (f *replayFlags) journal(ctx context.Context, folder string, p *progress) (*replay.Report, error) {
	documents, err := f.stored(folder)
	if err != nil {
		return nil, err
	}
	if f.against != "" {
		return nil, answer.Usage("a journal is compared with its own policy: give the other one with --policy")
	}
	q := &replay.JournalQuestion{Folder: folder, Documents: documents, Progress: p.records}
	var warn []string
	if f.policy != "" {
		cfg, more, err := loadLoose(f.policy, "", "")
		if err != nil {
			return nil, err
		}
		q.Policy, warn = cfg.Policy, more
	}
	r, err := replay.Journal(ctx, q)
	if err != nil {
		return nil, err
	}
	r.Warnings = append(warn, r.Warnings...)
	return r, nil
}

// stored finds the guard's documents, which lie beside its journal if nobody has said otherwise.
func (f *replayFlags) stored(folder string) (string, error) {
	if f.documents != "" {
		return f.documents, nil
	}
	for _, near := range []string{filepath.Join(folder, "..", "documents"), filepath.Join(folder, "..", "state", "documents")} {
		if info, err := os.Stat(near); err == nil && info.IsDir() {
			return near, nil
		}
	}
	return "", answer.Usage("expected --documents: the folder in the guard's state directory where it keeps documents by their content")
}

// loadLoose loads a policy with the documents beside it. Pins that do not fit are told and do not matter here: nothing is
// put into force, and a policy that is being written pins last.
func loadLoose(policy, profile, topics string) (*config.Config, []string, error) {
	var beside []string
	for _, f := range []string{profile, topics} {
		if f != "" {
			beside = append(beside, f)
		}
	}
	cfg, err := config.Load(nil, append([]string{policy}, beside...)...)
	if err == nil {
		return withPolicy(cfg, policy, nil)
	}
	var problems *config.Problems
	if !errors.As(err, &problems) {
		return nil, nil, err
	}
	for _, p := range problems.List {
		if p.Severity != config.SeverityWarning && p.Rule != "pin-mismatch" {
			return nil, nil, err
		}
	}
	only, err := config.Load(nil, policy)
	if err != nil {
		return nil, nil, err
	}
	rest, err := config.Load(nil, beside...)
	if err != nil {
		return nil, nil, err
	}
	rest.Policy, rest.Digests.Policy, rest.Raw.Policy = only.Policy, only.Digests.Policy, only.Raw.Policy
	return withPolicy(rest, policy, []string{policy + ": its pins do not fit the profile or the mapping that were given; on a robot it would be refused"})
}

func withPolicy(cfg *config.Config, file string, warn []string) (*config.Config, []string, error) {
	if cfg.Policy == nil {
		return nil, nil, answer.Usage("%s: expected a document of kind policy", file)
	}
	return cfg, warn, nil
}

// answer prints and writes what was found.
func (f *replayFlags) answer(cmd *cobra.Command, r *replay.Report) error {
	w := cmd.OutOrStdout()
	var err error
	if f.json {
		err = writeJSON(w, r)
	} else {
		err = writeText(w, r, answer.Colourful(w))
	}
	if err != nil {
		return err
	}
	if f.html != "" {
		if err := writeFile(f.html, func(w io.Writer) error { return report.Write(w, r) }); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "report written to %s\n", f.html)
	}
	if r.Partial != "" || r.Checked != nil && !r.Checked.AsRecorded {
		return cli.ErrNo
	}
	return nil
}

// writeJSON prints an answer for programs.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeFile writes a result whole or not at all.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".replay-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// progress shows on a terminal how far a replay is.
type progress struct {
	w     io.Writer
	on    bool
	shown time.Time
	begun time.Time
	wrote bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, on: answer.Terminal(w), begun: time.Now()}
}

// showEvery paces the display.
const showEvery = 200 * time.Millisecond

func (p *progress) due() bool {
	now := time.Now()
	if !p.on || now.Sub(p.shown) < showEvery {
		return false
	}
	p.shown, p.wrote = now, true
	return true
}

func (p *progress) bytes(done, total int64) {
	if !p.due() || total <= 0 {
		return
	}
	left := ""
	if spent := time.Since(p.begun); done > 0 && spent > time.Second {
		left = fmt.Sprintf(", %v left", (time.Duration(float64(spent) * float64(total-done) / float64(done))).Round(time.Second))
	}
	fmt.Fprintf(p.w, "\r\x1b[K%3d %% of %d MB%s", 100*done/total, total>>20, left)
}

func (p *progress) records(n uint64) {
	if p.due() {
		fmt.Fprintf(p.w, "\r\x1b[K%d records", n)
	}
}

func (p *progress) end() {
	if p.wrote {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.wrote = false
	}
}

// Package cli holds the commands of both programs; it parses flags and prints answers, and decides nothing.
//
// Every command ends with 0 if the answer is yes, 1 if it is no (refused, invalid, tampered), and 2 if it was not used as
// it should be.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
)

// Version and BuildTime (seconds since the Unix epoch) are set by the Makefile at link time.
var (
	Version   = "dev"
	BuildTime = "0"
)

// Exit codes.
const (
	exitOK    = 0
	exitNo    = 1
	exitUsage = 2
)

// ErrNo ends a command with 1 after it has told its answer itself.
var ErrNo = errors.New("the answer is no")

// Main runs a program and returns its exit code. SIGINT and SIGTERM end it in order; a second one ends it at once.
func Main(root *cobra.Command, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ErrNo):
		return exitNo
	case errors.As(err, &usage):
		fmt.Fprintf(root.ErrOrStderr(), "%v\nRun '%s --help' for usage.\n", err, usage.command)
		return exitUsage
	}
	if err.Error() != "" {
		fmt.Fprintf(root.ErrOrStderr(), "%v\n", err)
	}
	return exitCode(err)
}

// exitCode lets commands of other packages choose their code.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return exitNo
}

// usageError is a command that was not used as it should be.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// NewRoot makes a program's root command. It sets no template of cobra's: text/template calls methods by name, and then
// the linker keeps every exported method of everything, three megabytes on the robot.
func NewRoot(use, short string) *cobra.Command {
	root := &cobra.Command{
		Use: use, Short: short, SilenceErrors: true, SilenceUsage: true, Version: version(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd.CommandPath(), err} })
	return root
}

// Usage is the error of a command that was not used as it should be.
func Usage(cmd *cobra.Command, err error) error { return &usageError{cmd.CommandPath(), err} }

// Args turns wrong arguments into a usage error.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return &usageError{cmd.CommandPath(), err}
		}
		return nil
	}
}

// output adds --output and returns whether JSON was chosen.
func output(cmd *cobra.Command) func() (json bool, err error) {
	format := cmd.Flags().String("output", "text", "text for people, json for programs")
	return func() (bool, error) {
		switch *format {
		case "text":
			return false, nil
		case "json":
			return true, nil
		}
		return false, &usageError{cmd.CommandPath(), fmt.Errorf("--output: expected text or json, found %q", *format)}
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && Version == "dev" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return "dev " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return Version
}

// buildEpoch is the build's time in nanoseconds since the Unix epoch: no robot's clock can rightly be before it.
func buildEpoch() int64 {
	s, err := strconv.ParseInt(BuildTime, 10, 64)
	if err != nil {
		return 0
	}
	return s * int64(time.Second)
}

// newLog writes JSON, or lines for people if they asked for them or look at a terminal.
func newLog(w io.Writer, level, format string) zerolog.Logger {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	if format == "text" || IsTerminal(os.Stdout) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: os.Getenv("NO_COLOR") != "", TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger()
}

// IsTerminal says whether a person may be reading f.
func IsTerminal(f *os.File) bool {
	return answer.Terminal(f)
}

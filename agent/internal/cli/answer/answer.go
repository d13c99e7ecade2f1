// Package answer is how commands end and tell what is wrong: exit codes, documents that are refused, colour. It decides nothing
// and knows no command.
package answer

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/config"
)

// Exit codes.
const (
	// No is the code of a command whose answer is no: refused, invalid, tampered.
	No = 1
	// Misused is that of a command that was not used as it should be.
	Misused = 2
)

// coded is an error that chooses the program's exit code.
type coded struct {
	error
	code int
}

// ExitCode implements what the program's main asks for.
func (e coded) ExitCode() int { return e.code }

// Unwrap returns the cause.
func (e coded) Unwrap() error { return e.error }

// With is err with the program's exit code.
func With(code int, err error) error { return coded{err, code} }

// Usage is the error of a command that was not used as it should be.
func Usage(format string, args ...any) error { return With(Misused, fmt.Errorf(format, args...)) }

// Told ends a command whose answer is no and that has said everything already.
func Told() error { return With(No, errors.New("")) }

// Quiet prepares a command: its errors are printed by the program, once, and a wrong flag is a usage error.
func Quiet(cmd *cobra.Command) *cobra.Command {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return With(Misused, err) })
	return cmd
}

// Positional turns wrong arguments into a usage error.
func Positional(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return With(Misused, err)
		}
		return nil
	}
}

// Refused prints a configuration's problems as check does, and ends the command with No without another word; other errors pass.
func Refused(w io.Writer, err error) error {
	var problems *config.Problems
	if !errors.As(err, &problems) {
		return err
	}
	if err := problems.Render(w, Colourful(w)); err != nil {
		return err
	}
	fmt.Fprintf(w, "refused: %s\n", problems.Summary())
	return Told()
}

// Colourful says whether w is a terminal whose user has not asked for plain text (no-color.org).
func Colourful(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && Terminal(w)
}

// Terminal says whether a person may be reading w.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

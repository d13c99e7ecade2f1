package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/console/live"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
)

// NewConsole returns the command "console".
func NewConsole() *cobra.Command {
	var d documents
	var socket, journal, address, token string
	cmd := &cobra.Command{
		Use:   "console --socket S --policy P --profile R --topics T",
		Short: "Show a running guard's map, decisions and reasons on a local page",
		Long: `Console serves a page that only shows: it asks the guard for its status ten times a second and never sends it an order. It
listens on this computer alone. With --journal the end of the guard's journal is shown; without it, what changes in the status.

For a robot elsewhere, bring its socket to the desk: ssh -N -L ./guard.sock:/run/robowarden/control.sock robot. The page goes
on by itself when the guard or the connection is back.

With --token-file the page is opened once with ?token=…, and asks everybody else for it: use it where others have accounts on this computer.`,
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.need(true); err != nil {
				return err
			}
			if socket == "" {
				return answer.Usage("expected --socket")
			}
			cfg, warn, err := loadLoose(d.policy, d.profile, d.topics)
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			for _, w := range warn {
				fmt.Fprintln(cmd.ErrOrStderr(), w)
			}
			o := console.DefaultOptions()
			if token != "" {
				raw, err := os.ReadFile(token)
				if err != nil {
					return err
				}
				if o.Token = strings.TrimSpace(string(raw)); o.Token == "" {
					return fmt.Errorf("%s: expected a token of at least 16 characters, found none", token)
				}
			}
			const every = 80 * time.Millisecond
			feed, err := live.New(live.Options{Socket: socket, Config: cfg, Journal: journal, Every: every})
			if err != nil {
				return err
			}
			h, err := console.Handler(feed, o)
			if err != nil {
				return err
			}
			l, err := console.Listen(cmd.Context(), address)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s/\n", l.Addr())
			ctx, stop := context.WithCancel(cmd.Context())
			defer stop()
			done := make(chan error, 1)
			go func() { done <- feed.Run(ctx) }()
			err = console.Serve(ctx, l, h)
			stop()
			return errors.Join(err, <-done)
		},
	}
	d.flags(cmd)
	cmd.Flags().StringVar(&socket, "socket", "", "the guard's control socket")
	cmd.Flags().StringVar(&journal, "journal", "", "the guard's journal, for what happened")
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8600", "where the page is, on loopback")
	cmd.Flags().StringVar(&token, "token-file", "", "a file with a token of at least 16 characters")
	return cmd
}

package cli

import (
	"fmt"
	"os"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/supervise"
	"github.com/robowarden/robowarden/agent/steward"
	"github.com/robowarden/robowarden/hal/host"
)

// deploymentFlag adds --deployment.
func deploymentFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("deployment", defaultDeployment, "the deployment file")
}

// newRun starts all roles that the deployment has, each as a process of its own.
func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Guard the robot, look after its computer and report", Args: Args(cobra.NoArgs),
		Long: "Start the guard and, where the deployment has them, steward and courier, each as a process of its own, and start\n" +
			"again what ends. On SIGTERM the guard ends last, after it has brought the robot to rest.\n\n" +
			"Under systemd use the three units instead, which also keep the roles' rights apart.",
	}
	deployment := deploymentFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("the program's own path: %w", err)
		}
		// Only which roles there are. The guard reads the documents again; it tells all that is wrong with them and decides
		// whether it can guard nevertheless.
		dep, err := config.LoadDeployment(*deployment)
		if err != nil {
			dep = &config.Deployment{}
		}
		q := newLogQueue(os.Stdout)
		defer q.close()
		s := supervise.Supervisor{
			Program: self, Roles: roles(dep, *deployment), Pace: supervise.DefaultPace(), Log: newLog(q, dep.Log.Level, dep.Log.Format),
		}
		return s.Run(cmd.Context())
	}
	return cmd
}

// roles are those that the deployment asks for, the guard first.
func roles(d *config.Deployment, file string) []supervise.Role {
	args := func(role string) []string { return []string{role, "--deployment", file} }
	out := []supervise.Role{{Name: "guard", Args: args("guard"), Guard: true}}
	if d.Steward != nil {
		out = append(out, supervise.Role{Name: "steward", Args: args("steward")})
	}
	if d.Courier != nil {
		out = append(out, supervise.Role{Name: "courier", Args: args("courier")})
	}
	return out
}

func newGuard() *cobra.Command {
	cmd := &cobra.Command{
		Use: "guard", Short: "Guard the robot, and nothing else", Args: Args(cobra.NoArgs),
		Long: "Guard the robot as the deployment file says, until SIGTERM. The guard starts closed: nothing moves before every\n" +
			"required input has been seen. On SIGTERM it brings the robot to rest first.",
	}
	deployment := deploymentFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// First of all, since a success starts the program anew.
		realtime := host.Realtime()
		q := newLogQueue(os.Stdout)
		defer q.close()
		a, err := agent.New(agent.Options{
			Deployment: *deployment, Version: version(), Epoch: buildEpoch(), Realtime: realtime,
			NewLog: func(level, format string) zerolog.Logger { return newLog(q, level, format) },
		})
		if err != nil {
			return err
		}
		return a.Run(cmd.Context())
	}
	return cmd
}

// errNoRole is what a role says that the deployment does not have.
func errNoRole(role string) error {
	return fmt.Errorf("the deployment has no section %q: expected one, since this is the %s; see the commented demonstration for its keys", role, role)
}

func newSteward() *cobra.Command {
	cmd := &cobra.Command{
		Use: "steward", Short: "Look up the processes behind the guard's connections, and nothing else", Args: Args(cobra.NoArgs),
		Long: "Tell the guard which process of this computer is behind each of its connections. What it says is believed only for\n" +
			"a short time and only where it restricts the robot.",
	}
	deployment := deploymentFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dep, err := config.LoadDeployment(*deployment)
		if err != nil {
			return err
		}
		if dep.Steward == nil {
			return errNoRole("steward")
		}
		boot, err := host.BootID()
		if err != nil {
			return err
		}
		q := newLogQueue(os.Stdout)
		defer q.close()
		s, err := steward.New(steward.Options{
			Socket: dep.Paths.ControlSocket, StateDir: dep.Steward.StateDir, Period: dep.Steward.Period, Program: "robowarden " + version(),
			BootID: boot, Clock: host.Clock{}.Boot, Log: newLog(q, dep.Log.Level, dep.Log.Format),
		})
		if err != nil {
			return err
		}
		return s.Run(cmd.Context())
	}
	return cmd
}

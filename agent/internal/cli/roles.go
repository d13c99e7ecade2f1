package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/courier"
	"github.com/robowarden/robowarden/agent/internal/callers"
	"github.com/robowarden/robowarden/agent/internal/confine"
	"github.com/robowarden/robowarden/agent/internal/floors"
	"github.com/robowarden/robowarden/agent/internal/notify"
	"github.com/robowarden/robowarden/agent/internal/service"
	"github.com/robowarden/robowarden/agent/internal/stewardmetrics"
	"github.com/robowarden/robowarden/agent/internal/supervise"
	"github.com/robowarden/robowarden/agent/internal/task"
	"github.com/robowarden/robowarden/agent/steward"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/token"
	"github.com/robowarden/robowarden/hal/host"
)

// deploymentFlag adds --deployment.
func deploymentFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("deployment", defaultDeployment, "the deployment file")
}

// How much a role may let its heap grow before it collects, in percent: the robot's memory is the robot's. The guard
// allocates next to nothing between two messages, so that it collects rarely all the same.
const (
	thrift      = 40
	guardGrowth = 25
	// startSpell is how long a guard counts as starting for the limit of spinning: until then it touches most of its memory
	// for the first time, which a computer whose memory is cold makes it pay for without a pause.
	startSpell = 10 * time.Second
)

// settleAfter is when steward and courier have started in full, connections and attestation included. The guard gives back
// what its start needed before it runs.
const settleAfter = 20 * time.Second

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
		host.SpareProcessor() // for a policy that is read and compiled beside the path
		q := newLogQueue(os.Stdout)
		defer q.close()
		log := zerolog.Nop()
		a, err := agent.New(agent.Options{
			Deployment: *deployment, Version: version(), Epoch: buildEpoch(), Realtime: realtime,
			NewLog: func(level, format string) zerolog.Logger {
				log = newLog(q, level, format)
				return log
			},
		})
		if err != nil {
			return err
		}
		files := a.Files()
		return service.Run(cmd.Context(), &service.Role{
			Name: "guard", Confine: func() (confine.Report, error) {
				return confine.Guard(confine.GuardOptions{
					Paths: confine.Paths{Read: files.Read, Write: files.Write, Devices: files.Devices}, Datagrams: files.Datagrams,
					CAN: files.CAN,
				})
			},
			Confined: func(r *confine.Report) { a.Confined(r.String()) },
			Loops:    []notify.Progress{a}, Growth: guardGrowth, Log: log,
			Run: func(ctx context.Context) error {
				bound := time.AfterFunc(startSpell, func() {
					if err := host.BoundSpinning(); err != nil {
						log.Warn().Err(err).Msg("a guard that spins is not ended by the kernel")
					}
				})
				defer bound.Stop()
				return a.Run(ctx)
			},
		})
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
		log := newLog(q, dep.Log.Level, dep.Log.Format)
		var runs []steward.Runs
		for _, r := range dep.Steward.Runs {
			runs = append(runs, steward.Runs(r))
		}
		counters, err := floors.Open(dep.Steward.TPM, steward.RaiseAtMost)
		if err != nil {
			return err
		}
		s, err := steward.New(steward.Options{
			Runs: runs, Floors: counters,
			Socket: dep.Paths.ControlSocket, StateDir: dep.Steward.StateDir, Period: dep.Steward.Period, Program: "robowarden " + version(),
			BootID: boot, Clock: host.Clock{}.Boot, Log: log, Artifacts: dep.Steward.Artifacts,
		})
		if err != nil {
			return err
		}
		calls := stewardCallers(dep, log)
		return service.Run(cmd.Context(), &service.Role{
			Name: "steward", Confine: func() (confine.Report, error) { return confine.Steward(confine.StewardOptions{}) },
			Confined: func(r *confine.Report) { s.Confined(r) },
			Insist:   true, Loops: []notify.Progress{s}, Growth: thrift, SettleAfter: settleAfter, Log: log,
			Run: func(ctx context.Context) error {
				var g task.Group
				g.Go("steward", s.Run)
				if calls != nil {
					g.Go("callers", calls)
				}
				if path := dep.Steward.MetricsSocket; path != "" {
					g.Go("metrics", func(ctx context.Context) error { return stewardmetrics.Serve(ctx, path, s, log) })
				}
				return g.Run(ctx)
			},
		})
	}
	return cmd
}

// stewardCallers is what tells the courier who asks for a token; nil where nobody gets one. A mistake there is told, and costs
// the tokens only.
func stewardCallers(d *config.Deployment, log zerolog.Logger) func(context.Context) error {
	if d.Tokens == nil {
		return nil
	}
	account, mode := "", os.FileMode(0o600)
	if d.Users != nil {
		account, mode = d.Users.Courier, 0o666 // the kernel says who connects
	}
	couriers, err := callers.Accounts(account)
	if err != nil {
		log.Error().Err(err).Msg("users.courier: no program gets a token")
		return nil
	}
	l, err := callers.Listen("unixpacket", d.Tokens.CallersSocket, mode)
	if err != nil {
		log.Error().Err(err).Msg("tokens.callers_socket: no program gets a token")
		return nil
	}
	return func(ctx context.Context) error { return callers.Serve(ctx, l, couriers, steward.Callers(), log) }
}

func newCourier() *cobra.Command {
	cmd := &cobra.Command{
		Use: "courier", Short: "Attest and report over the network, and nothing else", Args: Args(cobra.NoArgs),
		Long: "Prove to the verifier what this robot runs, then report over MQTT what its journals hold, and carry signed orders to\n" +
			"the guard unread. Nothing that it says loosens a restriction.",
	}
	deployment := deploymentFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dep, err := config.LoadDeployment(*deployment)
		if err != nil {
			return err
		}
		if dep.Courier == nil {
			return errNoRole("courier")
		}
		q := newLogQueue(os.Stdout)
		defer q.close()
		log := newLog(q, dep.Log.Level, dep.Log.Format)
		c, err := courier.New(courier.Options{
			Config: dep, Deployment: *deployment, Version: version(), NewLog: func(string, string) zerolog.Logger { return log },
		})
		if err != nil {
			return err
		}
		awaitFolders(cmd.Context(), log, dep)
		return service.Run(cmd.Context(), &service.Role{
			Name: "courier", Confine: func() (confine.Report, error) { return confine.Courier(courierWalls(dep, *deployment)) },
			Insist: true, Loops: []notify.Progress{c}, Growth: thrift, SettleAfter: settleAfter, Run: c.Run, Log: log,
		})
	}
	return cmd
}

// foldersWait is how long the courier waits for the others' journals before it raises its walls.
const foldersWait = 10 * time.Second

// awaitFolders waits for the journals that the courier reads: a wall cannot have a door to what is not there yet.
func awaitFolders(ctx context.Context, log zerolog.Logger, d *config.Deployment) {
	folders := []string{d.Paths.JournalDir}
	if d.Steward != nil {
		folders = append(folders, steward.JournalDir(d.Steward.StateDir))
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(foldersWait)
	defer late.Stop()
	for _, folder := range folders {
		for {
			if _, err := os.Stat(folder); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-late.C:
				log.Warn().Str("folder", folder).Msg("a journal is not there; it is not reported before the courier starts anew")
				return
			case <-poll.C:
			}
		}
	}
}

// courierWalls are what the courier needs: its own files, the broker's port, names, and the TPM.
func courierWalls(d *config.Deployment, file string) confine.CourierOptions {
	c := d.Courier
	o := confine.CourierOptions{Paths: confine.Paths{
		Read: []string{
			file, d.Paths.Profile, d.Paths.Topics, d.Paths.Policy, d.Paths.Keys, d.Paths.JournalDir, c.CA, c.Certificate, "/proc/self",
			"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", cmp.Or(c.MeasuredLog, courier.MeasuredLog),
		},
		Write: []string{c.StateDir, d.Paths.ControlSocket},
	}, Ports: []uint16{53}}
	// What is open to debuggers is a claim of its evidence.
	o.Paths.Read = append(o.Paths.Read, courier.DebugFiles()...)
	// The digest of the program itself is a claim of its evidence; /proc/self/exe leads to where that lies.
	self, err := os.Executable()
	if err != nil {
		self = "" // Then the claim is empty, and a verifier says so.
	}
	for _, path := range []string{c.Key, c.EventLog, c.IMALog, self} {
		if path != "" {
			o.Paths.Read = append(o.Paths.Read, path)
		}
	}
	if d.Steward != nil {
		o.Paths.Read = append(o.Paths.Read, d.Steward.StateDir)
	}
	if b := c.BoundKey; b != nil {
		o.Paths.Read = append(o.Paths.Read, b.Approver, b.Recovery)
	}
	if c.MetricsSocket != "" {
		o.Paths.Write = append(o.Paths.Write, filepath.Dir(c.MetricsSocket))
	}
	if t := d.Tokens; t != nil {
		// Bound before the walls are raised; what may be connected to, Landlock does not say.
		o.Paths.Read = append(o.Paths.Read, filepath.Dir(t.CallersSocket))
	}
	if c.TPM != "" {
		o.Paths.Devices = append(o.Paths.Devices, c.TPM)
	}
	if u, err := url.Parse(c.Broker); err == nil {
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			o.Ports = append(o.Ports, uint16(port))
		}
	}
	return o
}

func newIdentity() *cobra.Command {
	var jwk bool
	cmd := &cobra.Command{
		Use: "identity", Short: "Print the robot's keys, for its enrolment at a verifier", Args: Args(cobra.NoArgs),
		Long: "Print what a verifier has to know about this robot before it believes it: which key signs its evidence, and what keeps\n" +
			"that key. Carry it to the verifier yourself: whoever can change it on the way can be this robot.\n\n" +
			"Run it as the courier's user, since a robot without a TPM keeps its key in the courier's folder.",
		Example: "  sudo -u robowarden-courier robowarden identity > hum-0007.json",
	}
	deployment := deploymentFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dep, err := config.LoadDeployment(*deployment)
		if err != nil {
			return err
		}
		if dep.Courier == nil {
			return errNoRole("courier")
		}
		cfg, err := config.Load(nil, dep.Paths.Profile)
		if err != nil {
			return err
		}
		id, err := courier.Identify(dep.Courier, agent.RobotID(cfg.Profile.Manufacturer, dep.Serial))
		if err != nil {
			return err
		}
		text, err := id.MarshalJSON()
		if jwk && err == nil {
			text, err = identityJWK(id)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
		return err
	}
	cmd.Flags().BoolVar(&jwk, "jwk", false, "print the public key as a JWK instead, for whoever checks the robot's tokens")
	return cmd
}

// identityJWK is the key that signs tokens, under the name that they carry.
func identityJWK(id *evidence.Identity) ([]byte, error) {
	keyID, err := order.KeyID(id.Key)
	if err != nil {
		return nil, err
	}
	k, err := token.PublicJWK(id.Key, token.KeyID(string(id.Tier), keyID))
	if err != nil {
		return nil, err
	}
	return json.Marshal(k)
}

package agent

import (
	"fmt"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros2"
)

// Status is what the guard's tools and pages show.
type Status struct {
	Robot   string       `json:"robot"`
	Nonce   string       `json:"nonce"`
	BootID  string       `json:"boot_id"`
	Policy  PolicyStatus `json:"policy"`
	Journal string       `json:"journal"`
	Version string       `json:"version"`
	// Clock is the trust in civil time: trusted, holdover or untrusted.
	Clock string `json:"clock"`
	// Scheduling is "real-time", or why it is not.
	Scheduling string `json:"scheduling"`
	// Confinement says behind which walls the guard works, and which of them are missing.
	Confinement string `json:"confinement"`
	// Content is what the steward says it has measured of artifacts, while its lease lasts. Nobody here judges it.
	Content []ContentStatus `json:"content,omitempty"`
	// Bus is the robot's bus, and what goes on there unseen.
	Bus BusStatus `json:"bus"`
	// Roles are the other roles, Publishers the connections to publishers and who is behind them.
	Roles      RolesStatus       `json:"roles"`
	Publishers []PublisherStatus `json:"publishers"`
	// Release is the signed release in force, nil without one, and Artifacts what is known of those that the policy demands.
	Release   *ReleaseStatus         `json:"release,omitempty"`
	Artifacts []guard.ArtifactStatus `json:"artifacts,omitempty"`
	// Commissioning says whether the robot has proven that it stops as its profile claims.
	Commissioning CommissioningStatus `json:"commissioning"`
	// Age says whether a TPM has proven that the guard's state on disk is the newest.
	Age AgeStatus `json:"state_age"`
	// Waiting are the orders that count only once that is proven.
	Waiting []WaitingStatus `json:"waiting_orders,omitempty"`
	guard.Status
}

// ContentStatus is the digest of one artifact's active content.
type ContentStatus struct {
	Name string `json:"name"`
	// SHA256 is empty where the steward has none to tell of; Why says why.
	SHA256 string `json:"sha256,omitempty"`
	Why    string `json:"why,omitempty"`
	// Kept is what protects the content until the steward's next look: fs-verity, watched or periodic.
	Kept string `json:"kept,omitempty"`
}

// BusStatus is the robot's bus.
type BusStatus struct {
	// Kind is the profile's bus: ros1 or ros2.
	Kind string `json:"kind"`
	// NotSeen says in words what the guard cannot notice there.
	NotSeen []string `json:"not_seen,omitempty"`
	// Secured counts the participants there now whose topics are hidden from the guard, SharedMemory those that exchange
	// data past it.
	Secured      int `json:"secured,omitempty"`
	SharedMemory int `json:"shared_memory,omitempty"`
	// Refused counts the participants that announced themselves in the last 30 s and were not taken in.
	Refused int `json:"refused,omitempty"`
	// Fleeting counts the writers of watched topics that have left before it was known whose they were, since the start.
	Fleeting uint64 `json:"fleeting,omitempty"`
}

// PolicyStatus names the policy in force.
type PolicyStatus struct {
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
	// ReportsUnattested is true if the policy lets safety events go out before the robot is attested.
	ReportsUnattested bool `json:"reports_unattested"`
}

// policyStatus names the policy of a configuration.
func policyStatus(cfg *config.Config) PolicyStatus {
	return PolicyStatus{
		ID: cfg.Policy.ID, Revision: cfg.Policy.Revision, Digest: cfg.Digests.Policy.String(), ReportsUnattested: cfg.Policy.ReportsUnattested(),
	}
}

// Status returns the state as it is now. A reset or grant order is bound to the boot id or the nonce that it shows.
func (a *Agent) Status() any {
	cfg, _ := a.current()
	s := Status{
		Robot: a.robot, Nonce: a.nonce, BootID: bootUUID(a.boot), Version: a.opt.Version, Status: a.guard.Status(), Journal: "writable",
		Policy: policyStatus(cfg),
	}
	s.Bus = a.bus.status()
	s.Roles, s.Publishers = a.rolesStatus(), a.publishers()
	s.Release = a.releaseStatus()
	s.Commissioning, s.Age = a.commissioning(), a.age.status()
	s.Waiting = a.orders.waitingStatus()
	a.guard.With(func(c *guard.Core) { s.Artifacts = c.Artifacts() })
	s.Scheduling = "real-time"
	if a.opt.Realtime != nil {
		s.Scheduling = a.opt.Realtime.Error()
	}
	s.Content = a.facts.content()
	s.Clock = geofence.ClockTrust(a.guard.Trust()).String()
	s.Confinement = "none"
	if c := a.confined.Load(); c != nil {
		s.Confinement = *c
	}
	if h := a.journal.Health(); !h.Writable {
		s.Journal = fmt.Sprintf("not writable: %v", h.Err)
	}
	return s
}

// diagnosis is what goes out on /diagnostics, and what it was made from.
type diagnosis struct {
	brief  guard.Brief
	cfg    *config.Config
	unseen ros2.Blindness
	list   []bus.DiagnosticStatus
}

// diagnostics gives what goes out now. It is made anew when it differs, so that a robot on which nothing changes makes no
// garbage by saying so. Only the health loop calls it.
func (a *Agent) diagnostics() []bus.DiagnosticStatus {
	now := diagnosis{brief: a.guard.Brief()}
	now.cfg, _ = a.current()
	now.unseen = a.bus.unseen()
	was := &a.diagnosis
	if was.list == nil || now.brief != was.brief || now.cfg != was.cfg || now.unseen != was.unseen {
		now.list = a.diagnose(now.cfg)
		a.diagnosis = now
	}
	return a.diagnosis.list
}

// diagnose is the guard's own health in ROS's words (REP-107).
func (a *Agent) diagnose(cfg *config.Config) []bus.DiagnosticStatus {
	s := a.guard.Status()
	d := bus.DiagnosticStatus{Level: bus.LevelOK, Name: "robowarden: guard", HardwareID: a.robot, Message: s.Mode}
	if s.Mode != "normal" {
		d.Level = bus.LevelWarn
	}
	if s.Axes.Motion == "stop" || s.Axes.Motion == "hold" {
		d.Level = bus.LevelError
	}
	if s.Overdue {
		d.Level, d.Message = bus.LevelError, "required inputs have not come: "+strings.Join(s.Missing, ", ")
	}
	var codes []string
	for _, t := range s.Triggers {
		codes = append(codes, t.Code)
	}
	enforcing := "enforcing"
	if s.Advisory {
		enforcing = "advisory"
	}
	d.Values = []bus.KeyValue{
		{Key: "motion", Value: s.Axes.Motion},
		{Key: "manipulators", Value: s.Axes.Manipulators},
		{Key: "triggers", Value: strings.Join(codes, " ")},
		{Key: "enforcement", Value: enforcing},
		{Key: "missing inputs", Value: strings.Join(s.Missing, " ")},
		{Key: "attestation", Value: s.Attestation.State},
		{Key: "bus", Value: a.bus.status().String()},
		{Key: "policy", Value: fmt.Sprintf("%s revision %d", cfg.Policy.ID, cfg.Policy.Revision)},
	}
	return []bus.DiagnosticStatus{d}
}

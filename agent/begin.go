package agent

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/flight"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/interlock"
)

func (a *Agent) noteStart() {
	start := Start{
		Version: a.opt.Version, Robot: a.robot, Boot: hex.EncodeToString(a.boot[:]),
		Profile: a.cfg.Digests.Profile.String(), Topics: a.cfg.Digests.Topics.String(), Policy: a.cfg.Digests.Policy.String(),
		Serial: a.cfg.Deployment.Serial, Node: a.cfg.Deployment.Node(a.cfg.Profile.Bus), Floor: a.oldest,
	}
	if a.unproven != interlock.CauseNone {
		start.Unproven = a.unproven.String()
	}
	raw, err := json.Marshal(start)
	if err != nil {
		return
	}
	a.guard.Note(guard.RecordStart, raw)
	if a.opt.Realtime != nil {
		a.log.Warn().Err(a.opt.Realtime).Msg("no real-time scheduling")
	}
	a.log.Info().Str(keyRobot, a.robot).Str("policy", a.cfg.Policy.ID).Int64(keyRevision, a.cfg.Policy.Revision).
		Bool("advisory", a.params.Advisory).Bool("realtime", a.opt.Realtime == nil).Msg("guard starts closed; it opens when every required input has been seen")
}

// Start is the record that opens a run in the journal. The digests name the documents by which a replay decides.
type Start struct {
	Version string `json:"version"`
	Robot   string `json:"robot"`
	Boot    string `json:"boot_id"`
	Profile string `json:"profile"`
	Topics  string `json:"topics"`
	Policy  string `json:"policy"`
	Serial  string `json:"serial"`
	Node    string `json:"node"`
	Floor   int64  `json:"time_floor_ns"`
	// Unproven says why the policy could not be verified at this start, empty if it was.
	Unproven string `json:"policy_unproven,omitempty"`
}

// recorder adapts the journal to the guard's interface.
type recorder struct {
	log    *journal.Log
	flight *flight.Recorder
}

func (r recorder) Append(kind uint8, boot time.Duration, payload []byte, urgent bool) (uint64, bool) {
	r.flight.Note(kind, boot, payload)
	return r.log.Append(journal.Kind(kind), boot, payload, urgent)
}

// openJournal opens the journal in the place that the deployment names.
func (a *Agent) openJournal(dep *config.Deployment) error {
	o := journal.DefaultOptions(a.boot, a.clock.Boot)
	o.SegmentBytes = int64(dep.Journal.SegmentMiB) << 20
	o.QuotaBytes = int64(dep.Journal.QuotaMiB) << 20
	o.SyncEvery = dep.Journal.SyncEvery
	o.Log = a.log
	var err error
	if a.journal, err = journal.Open(dep.Paths.JournalDir, o); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	a.flight = flight.New(flight.Options{
		Journal: dep.Paths.JournalDir, Folder: filepath.Join(a.state.path, "flights"), BootID: a.boot, Boot: a.clock.Boot,
		Config: func() *config.Config { cfg, _ := a.current(); return cfg }, Aside: host.Aside, Log: a.log,
	})
	return nil
}

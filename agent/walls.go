package agent

import (
	"path/filepath"

	"github.com/robowarden/robowarden/agent/config"
)

// Files are what the guard opens after its start, for whoever confines the process between [New] and [Agent.Run].
type Files struct {
	// Datagrams is true if the bus speaks UDP.
	Datagrams bool
	// Read may be read: a new policy is loaded together with all documents, which may have changed.
	Read []string
	// Write may be written.
	Write []string
	// Devices may be read, written and commanded.
	Devices []string
	// CAN is true if an actuator is on a CAN bus.
	CAN bool
}

// Files lists the guard's files. What is not listed, the guard has no business with.
func (a *Agent) Files() Files {
	cfg, _ := a.current()
	p := &cfg.Deployment.Paths
	f := Files{
		Datagrams: cfg.Profile.Bus == config.BusROS2,
		// Folders, not files: a document that is replaced by renaming is another file, and a wall's door is to the old one.
		Read: []string{
			filepath.Dir(a.opt.Deployment), filepath.Dir(p.Profile), filepath.Dir(p.Topics), filepath.Dir(p.Policy), p.Keys,
			"/proc/self", "/etc/hosts", "/etc/resolv.conf",
		},
		Write: []string{p.StateDir, p.JournalDir, filepath.Dir(p.ControlSocket)},
	}
	for _, k := range cfg.Deployment.HeartbeatKeys {
		f.Read = append(f.Read, filepath.Dir(k.File))
	}
	for _, d := range cfg.Profile.Actuators {
		switch {
		case d.Modbus != nil && d.Modbus.Serial != "":
			f.Devices = append(f.Devices, d.Modbus.Serial)
		case d.GPIO != nil:
			f.Devices = append(f.Devices, d.GPIO.Chip)
		case d.Watchdog != nil:
			f.Devices = append(f.Devices, d.Watchdog.Device)
		case d.CAN != nil:
			f.CAN = true
		}
	}
	for _, in := range cfg.Profile.Inputs {
		f.Devices = append(f.Devices, in.Chip)
	}
	for _, k := range cfg.Deployment.CommandKeys {
		f.Read = append(f.Read, filepath.Dir(k.File))
	}
	return f
}

// Confined tells the agent behind which walls its process works, for its status.
func (a *Agent) Confined(report string) { a.confined.Store(&report) }

// Progress counts the ticks that the guard has really applied. A guard whose count stands still decides nothing.
func (a *Agent) Progress() uint64 { return a.guard.Ticks() }

// RobotID is the robot's id in orders, topics and evidence, "manufacturer/serial" in the characters that VDA 5050 allows.
func RobotID(manufacturer, serial string) string { return robotID(manufacturer, serial) }

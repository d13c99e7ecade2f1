package config

import "time"

// Deployment is IT's document for one robot: which robot it is and where things are. Nothing in it loosens a rule.
type Deployment struct {
	// Serial is the robot's serial number, by which the policy knows it.
	Serial string `cfg:"serial" form:"serial" eg:"serial: hum-0007"`
	// Groups are the groups that the robot belongs to: signed orders for one of them, "group:" and its name, are for this robot too.
	Groups []string `cfg:"groups,optional" len:"1..16" form:"id" eg:"groups: [canary, ward-3]"`
	// ROS says how to reach a ROS 1 graph; it is required for a profile with bus: ros1.
	ROS *ROS `cfg:"ros,optional" eg:"ros: {master_uri: \"http://127.0.0.1:11311\", host: 127.0.0.1, node: /robowarden}"`
	// DDS says how to take part in a DDS domain; it is required for a profile with bus: ros2.
	DDS *DDS `cfg:"dds,optional" eg:"dds: {domain: 0, host: 127.0.0.1, multicast: false, node: /robowarden}"`
	// Paths are files and folders; relative ones start at the deployment file's folder.
	Paths Paths `cfg:"paths" eg:"paths: {profile: profile.yaml, topics: topics.yaml, policy: policy.bundle, keys: keys, state_dir: /var/lib/robowarden, journal_dir: /var/lib/robowarden/journal, control_socket: /run/robowarden/control.sock}"`
	// HeartbeatKeys are the keys of the endpoints that the policy's channels name.
	HeartbeatKeys []HeartbeatKey `cfg:"heartbeat_keys,optional" len:"0..16" eg:"heartbeat_keys: [{endpoint: operator, file: operator.key}]"`
	// CommandKeys are the keys that the policy's commanders name.
	CommandKeys []CommandKey `cfg:"command_keys,optional" len:"0..64" eg:"command_keys: [{key: planner, file: planner.key}]"`
	// Journal bounds the journal.
	Journal Journal `cfg:"journal" eg:"journal: {quota_mib: 512, segment_mib: 8}"`
	// Log says what is logged to stdout.
	Log Log `cfg:"log" eg:"log: {level: info, format: json}"`
	// Users are the accounts under which the other roles run; without it, only root and the guard's own account may take them.
	Users *Users `cfg:"users,optional" eg:"users: {steward: robowarden-steward, courier: robowarden-courier}"`
	// Courier says how the robot reports; without it, no courier runs and nothing is reported.
	Courier *Courier `cfg:"courier,optional" eg:"courier: {broker: \"tls://broker.example:8883\", …}"`
	// Steward says what is looked up about the robot computer's own processes; without it, no steward runs.
	Steward *Steward `cfg:"steward,optional" eg:"steward: {period: 1s, state_dir: /var/lib/robowarden-steward}"`
	// Tokens says which of the robot's programs get short-lived tokens; without it, none do. Courier and steward are both needed.
	Tokens *Tokens `cfg:"tokens,optional" eg:"tokens: {socket: /run/robowarden-courier/tokens.sock, callers_socket: /run/robowarden-steward/callers.sock, programs: […]}"`
}

// Users are accounts of the robot computer by name. The guard believes only them to be the role that they name, and
// even then believes nothing that would loosen a restriction.
type Users struct {
	// Steward is the steward's account.
	Steward string `cfg:"steward" form:"id" eg:"steward: robowarden-steward"`
	// Courier is the courier's account.
	Courier string `cfg:"courier" form:"id" eg:"courier: robowarden-courier"`
}

// Courier says how the robot reports. Relative paths start at the deployment file's folder.
type Courier struct {
	// Broker is the MQTT broker's address; only TLS 1.3 with a client certificate is spoken.
	Broker string `cfg:"broker" form:"tls" eg:"broker: \"tls://broker.example:8883\""`
	// Prefix is the first level or levels of every topic.
	Prefix string `cfg:"prefix" form:"levels" eg:"prefix: hospital/robots"`
	// CA holds the PEM certificates of who may vouch for the broker.
	CA string `cfg:"ca" form:"path" eg:"ca: broker-ca.pem"`
	// Certificate is the robot's own certificate chain in PEM.
	Certificate string `cfg:"certificate" form:"path" eg:"certificate: robot.pem"`
	// Key is the certificate's private key, PKCS #8 in PEM, mode 0600; without it, the key is the TPM's device key.
	Key string `cfg:"key,optional" form:"path" eg:"key: robot.key.pem"`
	// TPM is a TPM 2.0 device, or the unix socket of a software TPM; without it, evidence is signed by a software key and says so.
	TPM string `cfg:"tpm,optional" form:"path" eg:"tpm: /dev/tpmrm0"`
	// BoundKey binds the robot's key to approved states of its computer; without it, the device key works in whatever state.
	BoundKey *BoundKey `cfg:"bound_key,optional" eg:"bound_key: {approver: approver.pem, scope: g1, recovery: recovery.pem}"`
	// EventLog is the firmware's event log; without it, evidence carries none and says so.
	EventLog string `cfg:"event_log,optional" form:"path" eg:"event_log: /sys/kernel/security/tpm0/binary_bios_measurements"`
	// IMALog is the kernel's own log of files (IMA); without it, evidence carries none and says so.
	IMALog string `cfg:"ima_log,optional" form:"path" eg:"ima_log: /sys/kernel/security/ima/binary_runtime_measurements"`
	// MeasuredLog is the log of `robowarden measure`; without it, the one in /run/robowarden.
	MeasuredLog string `cfg:"measured_log,optional" form:"path" eg:"measured_log: /run/robowarden/measured"`
	// StateDir holds the courier's cursors, its software key and its own journal.
	StateDir string `cfg:"state_dir" form:"path" eg:"state_dir: /var/lib/robowarden-courier"`
	// MetricsSocket is where metrics and health are served over HTTP on a unix socket; without it, they are not served.
	MetricsSocket string `cfg:"metrics_socket,optional" form:"path" eg:"metrics_socket: /run/robowarden-courier/metrics.sock"`
	// BandwidthKiBPS caps what is sent, in KiB a second.
	BandwidthKiBPS int `cfg:"bandwidth_kib_s" range:"[4,1048576]" eg:"bandwidth_kib_s: 64"`
	// StateEvery is how often the whole state is sent even if nothing changed; the default is 10 s.
	StateEvery time.Duration `cfg:"state_every,optional" range:"[100ms,1h]" default:"10s" eg:"state_every: 10s"`
}

// Steward says what is looked up about the robot computer's own processes.
type Steward struct {
	// Period is how often processes behind publishers are looked up again; the facts' lease is three periods.
	Period time.Duration `cfg:"period" range:"[100ms,1m]" eg:"period: 1s"`
	// StateDir holds the steward's own journal.
	StateDir string `cfg:"state_dir" form:"path" eg:"state_dir: /var/lib/robowarden-steward"`
	// MetricsSocket is where metrics and health are served over HTTP on a unix socket; without it, they are not served.
	MetricsSocket string `cfg:"metrics_socket,optional" form:"path" eg:"metrics_socket: /run/robowarden-steward/metrics.sock"`
	// Artifacts is the folder with the slots of models and programs; without it, none are measured.
	Artifacts string `cfg:"artifacts,optional" form:"path" eg:"artifacts: /var/lib/robowarden-artifacts"`
	// TPM is a TPM 2.0 device, or the unix socket of a software TPM, whose counters keep the floors of artifacts; without it, files
	// do, which a disk that is set back takes with it.
	TPM string `cfg:"tpm,optional" form:"path" eg:"tpm: /dev/tpmrm0"`
	// Runs says which systemd unit runs an artifact; without it, crash loops in its trial are not seen, and not ruled out.
	Runs []Runs `cfg:"runs,optional" len:"1..16" eg:"runs: [{artifact: grasp-model, unit: planner.service}]"`
}

// Runs says which systemd unit runs an artifact.
type Runs struct {
	// Artifact is the artifact's name in releases.
	Artifact string `cfg:"artifact" form:"id" eg:"artifact: grasp-model"`
	// Unit is the systemd unit.
	Unit string `cfg:"unit" form:"unit" eg:"unit: planner.service"`
}

// BoundKey says who approves states of the computer. In any other, the robot is in recovery: it attests and does nothing else.
type BoundKey struct {
	// Approver is the public key of who approves states, PEM.
	Approver string `cfg:"approver" form:"path" eg:"approver: approver.pem"`
	// Scope is for whom: a class of robots that start alike, or this robot's id.
	Scope string `cfg:"scope" form:"scope" eg:"scope: g1"`
	// Recovery is the certificate of the robot's recovery, PEM.
	Recovery string `cfg:"recovery" form:"path" eg:"recovery: recovery.pem"`
}

// Tokens says which programs of the robot get tokens that the device key signs, while the robot is attested.
type Tokens struct {
	// Socket is where the courier gives them out; any local program may connect, and the kernel says who it is.
	Socket string `cfg:"socket" form:"path" eg:"socket: /run/robowarden-courier/tokens.sock"`
	// CallersSocket is where the steward tells the courier, and nobody else, which program that is.
	CallersSocket string `cfg:"callers_socket" form:"path" eg:"callers_socket: /run/robowarden-steward/callers.sock"`
	// Life is how long a token counts; the default is 5 min. None outlives the attestation result.
	Life time.Duration `cfg:"life,optional" range:"[30s,10m]" default:"5m" eg:"life: 5m"`
	// Programs are those that get tokens.
	Programs []TokenProgram `cfg:"programs" len:"1..32" eg:"programs: [{name: planner, uid: 1001, unit: planner.service, grants: [{audience: fleet, roles: [telemetry]}]}]"`
}

// TokenProgram is a program that gets tokens. Everything that is given has to be so.
type TokenProgram struct {
	// Name is the token's subject.
	Name string `cfg:"name" form:"id" eg:"name: planner"`
	// UID is the user that the program must run as.
	UID int `cfg:"uid" range:"[0,4294967294]" eg:"uid: 1001"`
	// Unit is the systemd unit that it must belong to; unit or exe_sha256 is required.
	Unit string `cfg:"unit,optional" form:"unit" eg:"unit: planner.service"`
	// ExeSHA256 are the SHA-256 of the executables that it may be; unit or exe_sha256 is required. An interpreter's says nothing about
	// what it runs, and no executable's keeps out other programs of the same user.
	ExeSHA256 []string `cfg:"exe_sha256,optional" len:"1..8" form:"sha256" eg:"exe_sha256: [9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08]"`
	// PerMinute is how many tokens it gets in a minute; the default is 12.
	PerMinute int `cfg:"per_minute,optional" range:"[1,120]" default:"12" eg:"per_minute: 12"`
	// Grants say what for.
	Grants []TokenGrant `cfg:"grants" len:"1..16" eg:"grants: [{audience: fleet, roles: [telemetry]}]"`
}

// TokenGrant is an audience and what the program may be to it.
type TokenGrant struct {
	// Audience is whom the token is for.
	Audience string `cfg:"audience" form:"id" eg:"audience: fleet"`
	// Roles are those that a token may name, one each.
	Roles []string `cfg:"roles" len:"1..16" form:"id" eg:"roles: [telemetry]"`
}

// ROS says how to reach a ROS 1 graph.
type ROS struct {
	// MasterURI is the master's address. It is never taken from the environment.
	MasterURI string `cfg:"master_uri" form:"http" eg:"master_uri: \"http://127.0.0.1:11311\""`
	// Host is the name or address under which others reach this computer.
	Host string `cfg:"host" form:"host" eg:"host: 127.0.0.1"`
	// Node is the guard's node name.
	Node string `cfg:"node" form:"node" eg:"node: /robowarden"`
}

// DDS says how to take part in a DDS domain.
type DDS struct {
	// Domain is the domain's number, which ROS 2 takes from ROS_DOMAIN_ID. It is never taken from the environment.
	Domain int `cfg:"domain" range:"[0,232]" eg:"domain: 0"`
	// Host is the address of the one interface over which the guard takes part; a loopback address keeps it on this computer.
	Host string `cfg:"host" form:"ip" eg:"host: 127.0.0.1"`
	// Multicast finds others by 239.255.0.1 on that interface, as ROS 2 does unless it is told otherwise.
	Multicast bool `cfg:"multicast" eg:"multicast: false"`
	// Peers are computers that are asked one by one, as ROS_STATIC_PEERS names them; on a loopback host it is this computer.
	Peers []string `cfg:"peers,optional" len:"0..32" form:"ip" eg:"peers: [192.168.123.161]"`
	// Computers lists the addresses of each computer that has several and speaks from more than one, 2 to 4 of them. Without
	// this a participant that does is a conflict and holds the robot, for nobody but the operator knows that they are one.
	Computers [][]string `cfg:"computers,optional" len:"0..16" form:"ip" eg:"computers: [[192.168.123.161, 192.168.123.162]]"`
	// Node is the guard's node name.
	Node string `cfg:"node" form:"node" eg:"node: /robowarden"`
}

// Node returns the guard's own name on a bus, "" if the deployment does not say how to reach that bus.
func (d *Deployment) Node(bus string) string {
	switch {
	case bus == BusROS1 && d.ROS != nil:
		return d.ROS.Node
	case bus == BusROS2 && d.DDS != nil:
		return d.DDS.Node
	}
	return ""
}

// Paths are files and folders. After loading they are absolute.
type Paths struct {
	// Profile is the robot profile.
	Profile string `cfg:"profile" form:"path" eg:"profile: profile.yaml"`
	// Topics is the topic mapping.
	Topics string `cfg:"topics" form:"path" eg:"topics: topics.yaml"`
	// Policy is the signed policy set.
	Policy string `cfg:"policy" form:"path" eg:"policy: policy.bundle"`
	// Keys is the folder with the root keys that the robot was enrolled with (roots.pem) and the signed key lists that it was
	// delivered with (keylist*.dsse.json, oldest first by name).
	Keys string `cfg:"keys" form:"path" eg:"keys: keys"`
	// StateDir holds latches, sequence floors and the last good policy.
	StateDir string `cfg:"state_dir" form:"path" eg:"state_dir: /var/lib/robowarden"`
	// JournalDir holds the journal's segments.
	JournalDir string `cfg:"journal_dir" form:"path" eg:"journal_dir: /var/lib/robowarden/journal"`
	// ControlSocket is where the guard listens for signed orders on this computer.
	ControlSocket string `cfg:"control_socket" form:"path" eg:"control_socket: /run/robowarden/control.sock"`
}

// HeartbeatKey names the file with one endpoint's key.
type HeartbeatKey struct {
	// Endpoint is the policy's channel.
	Endpoint string `cfg:"endpoint" form:"id" eg:"endpoint: operator"`
	// File holds the key as 64 hexadecimal digits; only its owner may read it (mode 0600 or 0400).
	File string `cfg:"file" form:"path" eg:"file: operator.key"`
}

// Journal bounds the journal on disk.
type Journal struct {
	// QuotaMiB is the most that all segments together take, in MiB; the oldest go first.
	QuotaMiB int `cfg:"quota_mib" range:"[16,1048576]" eg:"quota_mib: 512"`
	// SegmentMiB is the size of one segment in MiB.
	SegmentMiB int `cfg:"segment_mib" range:"[1,1024]" eg:"segment_mib: 8"`
	// SyncEvery is the longest time that a record waits for the disk; the default is 200 ms.
	SyncEvery time.Duration `cfg:"sync_every,optional" range:"[1ms,10s]" default:"200ms" eg:"sync_every: 200ms"`
}

// Log says what is logged.
type Log struct {
	// Level is the least severe level that is written.
	Level string `cfg:"level" enum:"debug|info|warn|error" eg:"level: info"`
	// Format is json for machines, text for people.
	Format string `cfg:"format" enum:"json|text" eg:"format: json"`
}

// others are the paths that only the other roles read; the guard makes them absolute and never opens them.
func (d *Deployment) others() []*string {
	var out []*string
	if c := d.Courier; c != nil {
		out = append(out, &c.CA, &c.Certificate, &c.Key, &c.TPM, &c.EventLog, &c.IMALog, &c.MeasuredLog, &c.StateDir, &c.MetricsSocket)
		if b := c.BoundKey; b != nil {
			out = append(out, &b.Approver, &b.Recovery)
		}
	}
	if s := d.Steward; s != nil {
		out = append(out, &s.StateDir, &s.MetricsSocket, &s.Artifacts, &s.TPM)
	}
	if t := d.Tokens; t != nil {
		out = append(out, &t.Socket, &t.CallersSocket)
	}
	return out
}

package config

import "time"

// Deployment is IT's document for one robot: which robot it is and where things are. Nothing in it loosens a rule.
type Deployment struct {
	// Serial is the robot's serial number, by which the policy knows it.
	Serial string `cfg:"serial" form:"serial" eg:"serial: hum-0007"`
	// ROS says how to reach the bus.
	ROS ROS `cfg:"ros" eg:"ros: {master_uri: \"http://127.0.0.1:11311\", host: 127.0.0.1, node: /robowarden}"`
	// Paths are files and folders; relative ones start at the deployment file's folder.
	Paths Paths `cfg:"paths" eg:"paths: {profile: profile.yaml, topics: topics.yaml, policy: policy.bundle, keys: keys, state_dir: /var/lib/robowarden, journal_dir: /var/lib/robowarden/journal, control_socket: /run/robowarden/control.sock}"`
	// HeartbeatKeys are the keys of the endpoints that the policy's channels name.
	HeartbeatKeys []HeartbeatKey `cfg:"heartbeat_keys,optional" len:"0..16" eg:"heartbeat_keys: [{endpoint: operator, file: operator.key}]"`
	// Journal bounds the journal.
	Journal Journal `cfg:"journal" eg:"journal: {quota_mib: 512, segment_mib: 8}"`
	// Log says what is logged to stdout.
	Log Log `cfg:"log" eg:"log: {level: info, format: json}"`
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

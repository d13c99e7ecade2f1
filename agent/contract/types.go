package contract

// Hello is the first frame of a lasting connection.
type Hello struct {
	// Role is what the program wants to be.
	Role Role `json:"role"`
	// Min and Max are the oldest and the newest version that it speaks.
	Min int `json:"min_version"`
	Max int `json:"max_version"`
	// Program names program and version, for people.
	Program string `json:"program"`
}

// Welcome answers a [Hello].
type Welcome struct {
	// Version is the newest version that both ends speak.
	Version int `json:"version"`
	// Robot is "manufacturer/serial".
	Robot string `json:"robot"`
	// BootID is the kernel's boot id, a lower-case UUID.
	BootID string `json:"boot_id"`
	// Nonce is what the guard drew when it started, 32 lower-case hexadecimal digits.
	Nonce string `json:"nonce"`
	// Journal is the folder of the guard's journal.
	Journal string `json:"journal"`
	// Policy, Profile and Topics are the digests of the documents in force, "sha256:" and 64 hexadecimal digits. A policy
	// may change later; the status says so.
	Policy  string `json:"policy"`
	Profile string `json:"profile"`
	Topics  string `json:"topics"`
}

// Peers are the connections that the guard really has, whenever they change and every second.
type Peers struct {
	// Peers has one entry for each publisher and topic of it that messages come from.
	Peers []Peer `json:"peers"`
	// Recorders are the device files that the steward has to look for, with the wildcards of path.Match; empty while nobody
	// has to know, which is while the robot need not be private.
	Recorders []string `json:"recorders,omitempty"`
}

// Transports of a [Peer].
const (
	// TransportTCP is a connection; it is left out of the frame.
	TransportTCP = ""
	// TransportUDP means that messages come as datagrams from Remote, as they do on DDS.
	TransportUDP = "udp"
)

// Peer is one publisher that the guard listens to, over a connection or by its datagrams.
type Peer struct {
	// ID numbers connections within one run of the guard and is never used twice.
	ID uint32 `json:"id"`
	// Topic is what comes over it.
	Topic string `json:"topic"`
	// Node is the publisher's claim about its own name.
	Node string `json:"node"`
	// Local and Remote are the guard's end and the far end, "ip:port"; Local is empty where it is not known.
	Local  string `json:"local"`
	Remote string `json:"remote"`
	// Gated is true if the topic carries commands to the gate.
	Gated bool `json:"gated"`
	// Transport is one of the transports.
	Transport string `json:"transport,omitempty"`
}

// Processes says which process is behind which connection. It is unsigned, may only tighten, and counts as unknown when
// its lease is over.
type Processes struct {
	// LeaseMS is for how long from its arrival the facts count, in milliseconds.
	LeaseMS int64 `json:"lease_ms"`
	// Processes has one entry for each connection; a connection that is missing is unknown.
	Processes []Process `json:"processes"`
}

// Process is what is behind one connection.
type Process struct {
	// ID is the connection's, as in [Peer].
	ID uint32 `json:"id"`
	// Found is true if a process on this computer is behind the connection; otherwise Why says why not.
	Found bool   `json:"found"`
	Why   string `json:"why"`
	// PID and UID are the process's number and its user.
	PID int `json:"pid"`
	UID int `json:"uid"`
	// Unit is its systemd unit, empty without one; Cgroup the path of its control group.
	Unit   string `json:"unit"`
	Cgroup string `json:"cgroup"`
	// Exe is the path of its executable, ExeSHA256 the digest in hexadecimal digits, empty where it cannot be read.
	Exe       string `json:"exe"`
	ExeSHA256 string `json:"exe_sha256"`
	// Interpreter is true if the executable runs somebody else's program, as Python does; it proves little then.
	Interpreter bool `json:"interpreter"`
}

// Devices says which recording devices are open. It is unsigned, may only tighten, and counts as unknown when its lease is
// over.
type Devices struct {
	// LeaseMS is for how long from its arrival the fact counts, in milliseconds.
	LeaseMS int64 `json:"lease_ms"`
	// Complete is true if every process was looked at; otherwise Why says why not, and others may be open as well.
	Complete bool   `json:"complete"`
	Why      string `json:"why"`
	// Total counts the devices that are open, each once for every process; Open names the first of them.
	Total int          `json:"total"`
	Open  []OpenDevice `json:"open"`
}

// OpenDevice is one device file that one process has open.
type OpenDevice struct {
	// Path is the device's path as the process names it.
	Path string `json:"path"`
	// PID and UID are the process's number and its user, Unit its systemd unit and Exe its executable, for people.
	PID  int    `json:"pid"`
	UID  int    `json:"uid"`
	Unit string `json:"unit"`
	Exe  string `json:"exe"`
}

// Artifacts says which content of each artifact is active. It is unsigned: the guard compares it with the signed release,
// and what is not said, or not any more, counts as unknown.
type Artifacts struct {
	// LeaseMS is for how long from its arrival the facts count, in milliseconds.
	LeaseMS int64 `json:"lease_ms"`
	// Artifacts has one entry for each artifact of this robot.
	Artifacts []Artifact `json:"artifacts"`
}

// Artifact is what lies active of one artifact.
type Artifact struct {
	// Name is the artifact's, as in releases.
	Name string `json:"name"`
	// SHA256 is the tree digest of the active slot as it was measured, empty where it could not be; Why says why. Where there is a
	// digest, Why is one of the Kept words, for people: what protects the content until it is looked at again.
	SHA256 string `json:"sha256"`
	Why    string `json:"why"`
}

// What protects an artifact's content, the strongest first.
const (
	// KeptVerity means that the kernel compares every block that is read with the digest of the verified bytes.
	KeptVerity = "fs-verity"
	// KeptWatched means that the kernel tells of every change at once.
	KeptWatched = "watched"
	// KeptPeriodic means that changes are found by the looks of the files, and by reading them now and then.
	KeptPeriodic = "periodic"
)

// States of a courier's session.
const (
	// SessionUnattested means that no attestation is under way.
	SessionUnattested = "unattested"
	// SessionAttesting means that one is.
	SessionAttesting = "attesting"
	// SessionFailed means that the courier knows that attestation failed: no TPM, or the verifier's refusal.
	SessionFailed = "failed"
)

// Session is the courier's claim about its session. It is unsigned: that a robot is attested is said by a signed result
// only.
type Session struct {
	// State is one of the session states.
	State string `json:"state"`
	// Detail is for people.
	Detail string `json:"detail"`
	// Connected is true while the broker is there.
	Connected bool `json:"connected"`
	// LeaseMS is for how long from its arrival the claim counts, in milliseconds.
	LeaseMS int64 `json:"lease_ms"`
}

// Head says how far the guard's journal has come. It is sent every second if it changed.
type Head struct {
	// BootID is that of the records, a lower-case UUID.
	BootID string `json:"boot_id"`
	// Seq is the journal's newest durable record and Digest its chain's value after it, in hexadecimal digits.
	Seq    uint64 `json:"seq"`
	Digest string `json:"digest"`
	// EvidenceSeq is the newest record up to Seq that is evidence, 0 before the first of this boot, and Evidence the
	// evidence chain's value after it.
	EvidenceSeq uint64 `json:"evidence_seq"`
	Evidence    string `json:"evidence"`
}

// Checkpoint is a head with the robot's signature. The guard records it and does not judge it.
type Checkpoint struct {
	// Log names the log, "guard".
	Log    string `json:"log"`
	BootID string `json:"boot_id"`
	// Seq, Digest and Evidence are as in [Head].
	Seq      uint64 `json:"seq"`
	Digest   string `json:"digest"`
	Evidence string `json:"evidence"`
	// KeyID names the key that Signature was made with.
	KeyID     string `json:"key_id"`
	Signature []byte `json:"signature"`
}

// Acknowledged carries the consumer's signed acknowledgement.
type Acknowledged struct {
	// Envelope is the DSSE envelope.
	Envelope []byte `json:"envelope"`
}

// Keys are the signed key lists that lead from the robot's roots to the one in force, oldest first. Each is signed, so
// the guard only carries them.
type Keys struct {
	// Lists are the DSSE envelopes.
	Lists [][]byte `json:"lists"`
}

// CounterRequest asks for the TPM's signed word about the counter that shows a disk that was set back.
type CounterRequest struct {
	// Nonce is what the statement has to answer, 64 lower-case hexadecimal digits; none is used twice.
	Nonce string `json:"nonce"`
	// To is what to count to before: once, if the counter is below it. 0 counts nothing.
	To uint64 `json:"to"`
	// Make wants the counter made if there is none.
	Make bool `json:"make"`
}

// Faults of a [Counter].
const (
	// CounterNoTPM means that the courier has no TPM.
	CounterNoTPM = "no-tpm"
	// CounterUnavailable means that the TPM is gone, busy or does not answer.
	CounterUnavailable = "tpm-unavailable"
	// CounterRefused means that the TPM answers, and refuses.
	CounterRefused = "tpm-refused"
	// CounterMissing means that there is no counter.
	CounterMissing = "counter-missing"
	// CounterReplaced means that there is something else in its place.
	CounterReplaced = "counter-replaced"
)

// Counter answers a [CounterRequest]: with what the TPM has stated, which the guard verifies itself, or with the courier's unsigned
// word why there is nothing, which frees nobody.
type Counter struct {
	// Nonce is the request's.
	Nonce string `json:"nonce"`
	// Attest is the TPM's statement (TPMS_ATTEST), Signature that of its attestation key (TPMT_SIGNATURE), and Key that key (PKIX).
	Attest    []byte `json:"attest"`
	Signature []byte `json:"signature"`
	Key       []byte `json:"key"`
	// Fault is one of the faults if there is no statement, Detail is for people.
	Fault  string `json:"fault"`
	Detail string `json:"detail"`
}

// Receipt answers a signed order: what became of it and why. It carries no authority. The same form answers the frames of
// facts.
type Receipt struct {
	// Digest names the order: the SHA-256 of its payload, empty if it could not be read.
	Digest string `json:"digest,omitempty"`
	// Kind is the order's kind.
	Kind string `json:"kind,omitempty"`
	// Accepted is true if signature, role, audience, validity and sequence were right.
	Accepted bool `json:"accepted"`
	// Applied is true if the order changed anything.
	Applied bool `json:"applied"`
	// Repeat is true for a stop that had come before: it stopped the robot again, even if it was reset since.
	Repeat bool `json:"repeat,omitempty"`
	// Reason is the stable code of a refusal.
	Reason string `json:"reason,omitempty"`
	// Text tells a person what happened and what to do.
	Text string `json:"text"`
	// Triggers says for each trigger that a reset named what became of it.
	Triggers map[string]string `json:"triggers,omitempty"`
	// Signers are the persons whose signatures counted.
	Signers []string `json:"signers,omitempty"`
}

// Codes of a [Failure].
const (
	// FailureVersion means that no version is common to both ends.
	FailureVersion = "version"
	// FailureNotYours means that the role may not send this frame, or the user may not take the role.
	FailureNotYours = "not-yours"
	// FailureMalformed means that the frame could not be read.
	FailureMalformed = "malformed"
	// FailureBusy means that the guard has too much to do; ask again later.
	FailureBusy = "busy"
	// FailureReplaced means that another program took the role.
	FailureReplaced = "replaced"
	// FailureFlood means that more frames came than the contract allows.
	FailureFlood = "flood"
)

// Failure says why a frame was not taken. But for "busy", the guard closes the connection behind it.
type Failure struct {
	// Code is one of the failure codes.
	Code string `json:"code"`
	// Text tells a person what was expected and what was found.
	Text string `json:"text"`
}

// Error makes a Failure an error for the client that is told it.
func (f *Failure) Error() string { return "the guard refuses (" + f.Code + "): " + f.Text }

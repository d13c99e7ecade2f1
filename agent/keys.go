package agent

// Log keys. One vocabulary for every line, so that a search over many robots finds what it looks for.
const (
	keyTopic      = "topic"
	keyPeer       = "peer"
	keyEvent      = "event"
	keySuppressed = "suppressed"
	keyRobot      = "robot"
	keyMode       = "mode"
	keyTriggers   = "triggers"
	keyDigest     = "digest"
	keyReason     = "reason"
	keyKind       = "kind"
	keyRevision   = "revision"
	keyRole       = "role"
	keyUID        = "uid"
)

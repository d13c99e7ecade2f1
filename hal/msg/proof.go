package msg

// ProofVerdict says what the check of a message's envelope found, as far as it can be told without knowing what came
// before.
type ProofVerdict uint8

// Verdicts. The numbers are part of the journal's format.
const (
	// ProofAbsent is the zero value: the topic's messages come without an envelope.
	ProofAbsent ProofVerdict = iota
	// ProofAuthentic means that the authentication code is right, for this robot, boot, topic, type and key. Whether the
	// challenge counts and the sequence is fresh is for the consumer to say.
	ProofAuthentic
	// ProofMalformed means that it is no envelope: too short, of another version, or with bits set that mean nothing.
	ProofMalformed
	// ProofOversize means that the envelope is larger than the channel takes.
	ProofOversize
	// ProofUnknownKey means that the channel has no such key.
	ProofUnknownKey
	// ProofWrongRobot means that it is for another robot.
	ProofWrongRobot
	// ProofWrongBoot means that it is for another boot of the robot.
	ProofWrongBoot
	// ProofWrongTopic means that it is for another topic.
	ProofWrongTopic
	// ProofWrongCode means that the authentication code is wrong.
	ProofWrongCode
	// ProofWrongContent means that the code is right and what it covers is no message of the topic's type.
	ProofWrongContent
	// NumProofVerdicts is the number of verdicts.
	NumProofVerdicts
)

// Proof is what came of one message's envelope.
type Proof struct {
	Verdict ProofVerdict
	// Key is the number of the key in the channel's list, from 1; 0 while none is known.
	Key uint8
	// Challenge is the guard's challenge that the sender names, Seq its counter under it.
	Challenge [16]byte
	Seq       uint64
}

package fleet

import (
	"fmt"
	"time"
)

// Code says what is wrong. Codes are stable: tools and tests compare them, people read [Alarm.Text].
type Code string

// What a consumer can find.
const (
	// Malformed: a message does not have the form that the interface gives it.
	Malformed Code = "malformed"
	// Oversize: a message is larger than any that a courier sends.
	Oversize Code = "oversize"
	// UnknownRobot: the robot is not enrolled here.
	UnknownRobot Code = "unknown-robot"
	// WrongRobot: topic, source and header name different robots.
	WrongRobot Code = "wrong-robot"
	// InRecovery: a robot reports by its recovery, which may attest and nothing else.
	InRecovery Code = "in-recovery"
	// Altered: a record's digest does not follow from its content.
	Altered Code = "altered"
	// Gap: records are missing, and the robot does not say that it lost them.
	Gap Code = "gap"
	// LossAnnounced: the robot says that it lost records before they were acknowledged.
	LossAnnounced Code = "loss-announced"
	// Fork: two different records claim the same place in a log.
	Fork Code = "fork"
	// CheckpointForged: a checkpoint is not signed by the robot's device key.
	CheckpointForged Code = "checkpoint-forged"
	// CheckpointMismatch: the robot's device key signed another log than the one that arrived.
	CheckpointMismatch Code = "checkpoint-mismatch"
	// CheckpointMissing: records arrive, but no checkpoint proves them.
	CheckpointMissing Code = "checkpoint-missing"
	// TooManyBoots: more boots and logs than one robot can have.
	TooManyBoots Code = "too-many-boots"
	// StoreFull: the robot's share of the disk is used up, so nothing more is acknowledged.
	StoreFull Code = "store-full"
	// StoreFailed: the disk refuses, so nothing more is acknowledged.
	StoreFailed Code = "store-failed"
	// StoreRepaired: the end of a robot's file was not whole and was set aside.
	StoreRepaired Code = "store-repaired"
)

// remedies says what to do about each code.
var remedies = map[Code]string{
	Malformed:          "compare the versions of courier and station; if they agree, somebody else writes to this topic",
	Oversize:           "look for whoever else writes to this topic; a courier splits what is too large",
	UnknownRobot:       "enrol the robot, or take its access to the broker away",
	WrongRobot:         "check the broker's access rules: one robot's certificate must not reach another's topics",
	InRecovery:         "check the broker's access rules for the role robot-recovery, and ask the robot's verifier what the robot has started",
	Altered:            "the record was changed on its way: take the broker and the courier for compromised and read the journal on the robot",
	Gap:                "read the journal on the robot before its quota removes the records; if they are gone there too, treat it as tampering",
	LossAnnounced:      "raise the journal's quota or the bandwidth; the announced records exist nowhere any more",
	Fork:               "the robot's log was written anew or its disk rolled back: take it out of service and keep its disk",
	CheckpointForged:   "somebody without the robot's key vouches for its log, or the robot was enrolled anew: compare the enrolment",
	CheckpointMismatch: "what arrived is not what the robot signed: take the courier for compromised and read the journal on the robot",
	CheckpointMissing:  "see on the robot why the courier signs nothing: its key or TPM may not answer",
	TooManyBoots:       "archive the robot's file and start a new one; if it does not reboot that often, its boot ids are made up",
	StoreFull:          "archive the robot's file, or give it more room; the robot keeps its records meanwhile",
	StoreFailed:        "mend the disk and start again; the robots keep their records meanwhile",
	StoreRepaired:      "nothing was lost that had been acknowledged; look at the set-aside bytes if the machine did not just lose power",
}

// Alarm is something that cannot be right, and what to do about it.
type Alarm struct {
	// Code is stable, see the constants.
	Code Code
	// Robot is the robot's id, "" when that is in doubt.
	Robot string
	// Log, Boot and Seq say where, as far as the code has a place.
	Log  string
	Boot BootID
	Seq  uint64
	// Text says what was expected and what was found.
	Text string
	// Remedy says what to do.
	Remedy string
	// Repeated counts alarms of the same code, robot and log that were not told since the last one.
	Repeated int
}

// String is one line for people.
func (a Alarm) String() string {
	s := string(a.Code)
	if a.Robot != "" {
		s += " " + a.Robot
	}
	if a.Log != "" {
		s += fmt.Sprintf(" %s/%s/%d", a.Log, a.Boot, a.Seq)
	}
	s += ": " + a.Text
	if a.Repeated > 0 {
		s += fmt.Sprintf(" (and %d more like it)", a.Repeated)
	}
	return s + "; " + a.Remedy
}

// quiet is how long an alarm of the same code, robot and log is only counted.
const quiet = 5 * time.Second

// maxTold bounds how many different alarms are remembered for counting.
const maxTold = 4096

type toldKey struct {
	code       Code
	robot, log string
}

type toldState struct {
	at    time.Time
	count int
}

// bell tells alarms, each kind at most once in a while.
type bell struct {
	told map[toldKey]toldState
	tell func(Alarm)
}

// ring tells a, or counts it.
func (b *bell) ring(now time.Time, a Alarm) {
	a.Remedy = remedies[a.Code]
	key := toldKey{a.Code, a.Robot, a.Log}
	s, known := b.told[key]
	if known && now.Sub(s.at) < quiet && !now.Before(s.at) {
		s.count++
		b.told[key] = s
		return
	}
	if !known && len(b.told) >= maxTold {
		clear(b.told)
	}
	a.Repeated = s.count
	b.told[key] = toldState{at: now}
	b.tell(a)
}

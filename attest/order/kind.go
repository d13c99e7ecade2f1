package order

import (
	"slices"
	"time"
)

// Kind says what an order is about.
type Kind string

// The kinds of orders.
const (
	// KindStop stops the robot. It only ever tightens.
	KindStop Kind = "stop"
	// KindReset clears latched triggers.
	KindReset Kind = "reset"
	// KindGrant allows for a while what the policy forbids.
	KindGrant Kind = "grant"
	// KindPolicySet replaces the policy and pins robot profile and topic mapping.
	KindPolicySet Kind = "policy-set"
	// KindKeyList replaces the list of keys that the robot believes.
	KindKeyList Kind = "key-list"
	// KindAttestationResult says whether a verifier believes what the robot has proven about itself.
	KindAttestationResult Kind = "attestation-result"
	// KindRelease says which artifacts the robot shall run.
	KindRelease Kind = "release"
	// KindOverride suspends for a while what named triggers demand, or ends that.
	KindOverride Kind = "override"
	// KindSession opens a session of remote control, or ends one.
	KindSession Kind = "session"
	// KindHalt ends the spreading of a release. It only ever tightens.
	KindHalt Kind = "halt"
)

// Kinds lists every kind, in the order in which documents name them.
func Kinds() []Kind {
	return []Kind{
		KindStop, KindReset, KindGrant, KindPolicySet, KindKeyList, KindAttestationResult, KindRelease, KindOverride, KindSession, KindHalt,
	}
}

// Role says what the holder of a key does at the site. It comes from the key list, never from an order.
type Role string

// The roles that a key list may give.
const (
	// RoleRoot signs key lists and nothing else.
	RoleRoot Role = "root"
	// RoleSafetyEngineer writes policies, and may reset, grant and stop.
	RoleSafetyEngineer Role = "safety-engineer"
	// RoleOperator works with the robot: resets and stops.
	RoleOperator Role = "operator"
	// RoleSupervisor answers for the site's robots on a shift: resets and stops.
	RoleSupervisor Role = "supervisor"
	// RoleSecurity answers for incidents: resets what an intruder has caused, and stops.
	RoleSecurity Role = "security"
	// RoleFleetManager plans the work of many robots: grants and stops.
	RoleFleetManager Role = "fleet-manager"
	// RoleVendor made the robot. Its keys are rarely under the site's control, so it can only stop.
	RoleVendor Role = "vendor"
	// RoleStopOnly is for buttons and gateways.
	RoleStopOnly Role = "stop-only"
	// RoleVerifier is for the program that appraises evidence: challenges and attestation results, nothing else.
	RoleVerifier Role = "verifier"
	// RoleConsumer is for the program that keeps the fleet's records: acknowledgements, nothing else.
	RoleConsumer Role = "consumer"
	// RoleRelease puts releases together: it signs them, and nothing else.
	RoleRelease Role = "release"
	// RoleArtifact makes artifacts, such as models and firmware. It signs those, and no order. Only a key that has no other
	// role may be ECDSA P-384 or RSA.
	RoleArtifact Role = "artifact"
	// RoleTechnician tests robots: it signs the records of their proof tests, and nothing else.
	RoleTechnician Role = "technician"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{
		RoleRoot, RoleSafetyEngineer, RoleOperator, RoleSupervisor, RoleSecurity, RoleFleetManager, RoleVendor, RoleStopOnly,
		RoleVerifier, RoleConsumer, RoleRelease, RoleArtifact, RoleTechnician,
	}
}

// rule is what one kind of order demands.
type rule struct {
	// signers lists the roles that may sign the kind.
	signers []Role
	// stream names the role whose sequence the kind counts in, "" when the id is used up instead.
	stream Role
	// loosens is true when the order can take a restriction away, so that doubt refuses it.
	loosens bool
	// bound is true when the order must name one robot and its boot or the guard's nonce.
	bound bool
	// boundTwice is true when the order must name both the boot and the guard's nonce.
	boundTwice bool
	// everyone is true when the audience may be "*".
	everyone bool
	// maxValidity is the longest time between not_before and not_after.
	maxValidity time.Duration
	// maxPayload is the largest payload in bytes.
	maxPayload int
}

const (
	day  = 24 * time.Hour
	year = 366 * day
)

// rules is the one table of what each kind demands; FORMAT.md shows it and a test compares the two.
var rules = map[Kind]rule{
	KindStop: {
		signers: []Role{
			RoleSafetyEngineer, RoleOperator, RoleSupervisor, RoleSecurity, RoleFleetManager, RoleVendor, RoleStopOnly,
		},
		everyone: true, maxValidity: year, maxPayload: MaxPayload,
	},
	KindReset: {
		signers: []Role{RoleSafetyEngineer, RoleOperator, RoleSupervisor, RoleSecurity},
		loosens: true, bound: true, maxValidity: day, maxPayload: MaxPayload,
	},
	KindGrant: {
		signers: []Role{RoleSafetyEngineer, RoleFleetManager},
		loosens: true, bound: true, maxValidity: day, maxPayload: MaxPayload,
	},
	KindPolicySet: {
		signers: []Role{RoleSafetyEngineer}, stream: RoleSafetyEngineer,
		loosens: true, maxValidity: 10 * year, maxPayload: MaxPolicyPayload,
	},
	KindKeyList: {
		signers: []Role{RoleRoot}, stream: RoleRoot,
		loosens: true, maxValidity: 10 * year, maxPayload: MaxPayload,
	},
	KindAttestationResult: {
		signers: []Role{RoleVerifier},
		loosens: true, bound: true, boundTwice: true, maxValidity: day, maxPayload: MaxPayload,
	},
	KindRelease: {
		signers: []Role{RoleRelease, RoleSafetyEngineer}, stream: RoleRelease,
		loosens: true, maxValidity: 10 * year, maxPayload: MaxPayload,
	},
	KindOverride: {
		signers: []Role{RoleSafetyEngineer, RoleOperator, RoleSupervisor, RoleSecurity},
		loosens: true, bound: true, maxValidity: day, maxPayload: MaxPayload,
	},
	KindHalt: {
		signers: []Role{
			RoleSafetyEngineer, RoleOperator, RoleSupervisor, RoleSecurity, RoleFleetManager, RoleVendor, RoleStopOnly, RoleRelease,
		},
		everyone: true, maxValidity: year, maxPayload: MaxPayload,
	},
	KindSession: {
		signers: []Role{RoleSafetyEngineer, RoleSupervisor, RoleSecurity, RoleFleetManager},
		loosens: true, bound: true, maxValidity: day, maxPayload: MaxPayload,
	},
}

// Sizes and counts that decoding holds to.
const (
	// MaxPayload is the largest order in bytes, except for policy sets.
	MaxPayload = 64 << 10
	// MaxPolicyPayload is the largest policy-set order in bytes.
	MaxPolicyPayload = 4 << 20
	// MaxEnvelope is the largest envelope in bytes: a policy set in base64 and its signatures.
	MaxEnvelope = 6 << 20
	// MaxSignatures is the largest number of signatures in one envelope.
	MaxSignatures = 8
	// MaxReason is the longest reason text in bytes.
	MaxReason = 512
	// MaxAudience is the largest number of entries in an audience.
	MaxAudience = 64
	// MaxKeys is the largest number of keys in a key list.
	MaxKeys = 128
	// MaxTriggers is the largest number of triggers that one reset names.
	MaxTriggers = 64
	// MaxResultReasons is the largest number of reasons in one attestation result.
	MaxResultReasons = 16
	// maxFacts is the largest number of facts in one grant.
	maxFacts = 3
	// MaxSequence is the largest sequence: every JSON reader holds it exactly.
	MaxSequence = 1<<53 - 1
	// MaxSequenceStep is how far a sequence may leap over the last accepted one. It keeps one mistyped number from
	// locking out every later order.
	MaxSequenceStep = 1 << 16
	// MaxSpeedMPS bounds the speed that a grant may allow, in metres per second.
	MaxSpeedMPS = 5.0
)

// MaySign reports whether the role may sign the kind.
func (r Role) MaySign(k Kind) bool { return slices.Contains(rules[k].signers, r) }

// Sequenced reports whether orders of the kind count in a sequence. Orders of the other kinds use up their id.
func (k Kind) Sequenced() bool { return rules[k].stream != "" }

// Loosens reports whether orders of the kind can take a restriction away.
func (k Kind) Loosens() bool { return rules[k].loosens }

// Bound reports whether orders of the kind must name one robot and its boot id or the guard's nonce, or both.
func (k Kind) Bound() bool { return rules[k].bound }

// known reports whether the kind exists.
func (k Kind) known() bool { _, ok := rules[k]; return ok }

// stream names the sequence that orders of the kind count in.
func (k Kind) stream() string { return string(k) + "/" + string(rules[k].stream) }

package config

// Config is everything that the guard needs to start. Parts that were not loaded are nil.
type Config struct {
	// Profile is the vendor's part.
	Profile *Profile
	// Topics is the integrator's part.
	Topics *Topics
	// Policy is the safety engineer's part.
	Policy *Policy
	// Deployment is IT's part.
	Deployment *Deployment
	// Raw holds the documents as they were read; Policy is the YAML inside the signed set.
	Raw Raw
	// Digests are the SHA-256 digests of Raw.
	Digests Digests
	// Warnings are what the reader should know although the configuration was accepted.
	Warnings []Problem
}

// Raw holds the documents' bytes.
type Raw struct{ Profile, Topics, Policy, Deployment []byte }

// Digests are the documents' SHA-256 digests.
type Digests struct{ Profile, Topics, Policy Digest }

// SignedPolicy is what a signed policy set says.
type SignedPolicy struct {
	// YAML is the policy document.
	YAML []byte
	// Pins are the digests that the set names; the policy document must name the same.
	Pins Pins
	// Revision is the set's sequence number; the policy document must have the same.
	Revision int64
}

// PolicySource takes the policy out of a signed set after having checked its signatures. Who may sign is not this
// package's business.
type PolicySource func(bundle []byte) (SignedPolicy, error)

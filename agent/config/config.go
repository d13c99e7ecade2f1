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

// PolicySource takes the YAML out of a signed policy set after having checked its signatures. Who may sign is not this
// package's business.
type PolicySource func(bundle []byte) (yaml []byte, pins Pins, err error)

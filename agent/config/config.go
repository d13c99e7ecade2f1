package config

import "io"

// Config is everything that the guard needs to start. Parts that were not loaded are nil.
type Config struct {
	// Profile is the vendor's part.
	Profile *Profile
	// Topics is the integrator's part.
	Topics *Topics
	// Policy is the safety engineer's part.
	Policy *Policy
	// Deployment is IT's part, with absolute paths.
	Deployment *Deployment
	// HeartbeatKeys holds the key of each endpoint that the deployment names.
	HeartbeatKeys map[string]Secret
	// CommandKeys holds the key of each commander that the deployment names.
	CommandKeys map[string]Secret
	// Vendor says how to read the sensors whose types only the vendor knows.
	Vendor Vendor
	// Raw holds the documents as they were read; Policy is the YAML inside the signed set.
	Raw Raw
	// Digests are the SHA-256 digests of Raw.
	Digests Digests
	// Sources names the documents, in the order in which they were read.
	Sources []Source
	// Warnings are what the reader should know although the configuration was accepted.
	Warnings []Problem

	problems *Problems
}

// Source is one document that was read.
type Source struct {
	// File is its path; that of a policy inside a signed set ends in #policy.
	File string `json:"file"`
	// Kind is its kind.
	Kind string `json:"kind"`
	// Digest is its SHA-256 digest, as pins name it.
	Digest Digest `json:"digest"`
}

// Forget drops what only the start needs: the documents' bytes, and the zones, which live on as the geofence has compiled
// them. With a thousand zones that is most of a configuration.
func (c *Config) Forget() {
	c.Raw = Raw{}
	if c.Policy != nil {
		c.Policy.Zones = nil
	}
}

// Raw holds the documents' bytes.
type Raw struct {
	Profile, Topics, Policy, Deployment []byte
	// Definitions are those of the vendor's types, by the name that [StoredDefinition] gives them.
	Definitions map[string][]byte
	// URDF is the file that the profile names, nil if it names none.
	URDF []byte
}

// Digests are the documents' SHA-256 digests.
type Digests struct{ Profile, Topics, Policy, URDF Digest }

// SignedPolicy is what a signed policy set says.
type SignedPolicy struct {
	// YAML is the policy document.
	YAML []byte
	// Pins are the digests that the set names; the policy document must name the same.
	Pins Pins
	// Revision is the set's sequence number; the policy document must have the same.
	Revision int64
}

// PolicySource takes the policy out of a signed set after having checked its signatures: who may sign is not this
// package's business. The deployment says where the key list and the state are; it is nil where none was given.
type PolicySource func(d *Deployment, bundle []byte) (SignedPolicy, error)

// RenderWarnings writes the warnings for people.
func (c *Config) RenderWarnings(w io.Writer, colour bool) error { return c.problems.Render(w, colour) }

// Problems returns the warnings as Load's error would carry them.
func (c *Config) Problems() *Problems { return c.problems }

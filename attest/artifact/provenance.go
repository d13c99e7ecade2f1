package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

// Predicates of SLSA's provenance.
const (
	slsaV1  = "https://slsa.dev/provenance/v1"
	slsaV02 = "https://slsa.dev/provenance/v0.2"
)

// Bounds of a provenance.
const (
	maxSubjects  = 1024
	maxMaterials = 4096
)

// Provenance is how an artifact was made, as somebody trusted signed it.
type Provenance struct {
	// Builder identifies the platform that made it.
	Builder string `json:"builder"`
	// BuildType says how.
	BuildType string `json:"build_type"`
	// ModelVersion is the external parameter "model_version", empty without one.
	ModelVersion string `json:"model_version,omitempty"`
	// Materials is what went into it, data sets among them.
	Materials []Material `json:"materials"`
	// Signer is whose signature counted.
	Signer Signer `json:"signer"`
}

// Material is one thing that went into an artifact.
type Material struct {
	// Name is its name or address.
	Name string `json:"name"`
	// SHA256 is its digest in hexadecimal digits; empty where only another kind of digest is given.
	SHA256 string `json:"sha256,omitempty"`
}

// ProvenanceDemand is what a policy demands of an artifact's provenance.
type ProvenanceDemand struct {
	// Builders are the builders that count; empty means any that is named.
	Builders []string
	// ModelVersion must be named, whichever it is.
	ModelVersion bool
	// Datasets are SHA-256 digests in hexadecimal digits that must be among the materials.
	Datasets []string
	// OnlyKnown are the digests that alone may be among the materials; empty allows any.
	OnlyKnown []string
}

// VerifyProvenance verifies a bundle with SLSA provenance (v1, or the older v0.2) about an artifact that has one of the
// digests, and checks the policy's demand. Digests are SHA-256.
func (t *Trust) VerifyProvenance(bundleJSON []byte, digests [][sha256.Size]byte, demand *ProvenanceDemand, o Options) (*Provenance, error) {
	b, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	who, err := t.envelope(b, &o)
	if err != nil {
		return nil, err
	}
	w, err := parseStatement(b.payloadType, b.payload)
	if err != nil {
		return nil, err
	}
	if err := checkSubject(w, digests); err != nil {
		return nil, err
	}
	p, err := parseProvenance(w)
	if err != nil {
		return nil, err
	}
	p.Signer = *who
	return p, demand.check(p)
}

// checkSubject says why the statement is not about one of the digests, or nil.
func checkSubject(w *wireStatement, digests [][sha256.Size]byte) error {
	if n := len(w.Subject); n == 0 || n > maxSubjects {
		return malformed("statement.subject", "expected 1 to %d, found %d", maxSubjects, n)
	}
	for i := range w.Subject {
		for _, d := range digests {
			if w.Subject[i].Digest[hashName] == hex.EncodeToString(d[:]) {
				return nil
			}
		}
	}
	return refuse(WrongSubject, "statement.subject", "ask for the provenance of this artifact",
		"the provenance is about %q: its digest is another one's", clip(w.Subject[0].Name))
}

// slsa is the part of both versions that counts. SLSA says that a reader ignores keys that it does not know.
type slsa struct {
	Definition struct {
		BuildType    string                     `json:"buildType"`
		Parameters   map[string]json.RawMessage `json:"externalParameters"`
		Dependencies []slsaMaterial             `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	Run struct {
		Builder slsaBuilder `json:"builder"`
	} `json:"runDetails"`
	// Version 0.2.
	Builder    slsaBuilder `json:"builder"`
	BuildType  string      `json:"buildType"`
	Invocation struct {
		Parameters map[string]json.RawMessage `json:"parameters"`
	} `json:"invocation"`
	Materials []slsaMaterial `json:"materials"`
}

type slsaBuilder struct {
	ID string `json:"id"`
}

type slsaMaterial struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

func parseProvenance(w *wireStatement) (*Provenance, error) {
	const where = "statement.predicate"
	if w.PredicateType != slsaV1 && w.PredicateType != slsaV02 {
		return nil, refuse(WrongType, "statement.predicateType", "", "found %q: expected %q", clip(w.PredicateType), slsaV1)
	}
	// Whatever is in it, no key may come twice, or in another case: two readers would read two provenances.
	var s slsa
	if err := strict.Known(w.Predicate, &s); err != nil {
		return nil, malformed(where, "is no provenance").because(err)
	}
	p := &Provenance{Builder: s.Run.Builder.ID, BuildType: s.Definition.BuildType}
	params, materials := s.Definition.Parameters, s.Definition.Dependencies
	if w.PredicateType == slsaV02 {
		p.Builder, p.BuildType, params, materials = s.Builder.ID, s.BuildType, s.Invocation.Parameters, s.Materials
	}
	if len(materials) > maxMaterials {
		return nil, malformed(where, "expected at most %d materials, found %d", maxMaterials, len(materials))
	}
	if raw, ok := params["model_version"]; ok && json.Unmarshal(raw, &p.ModelVersion) != nil {
		return nil, malformed(where+".model_version", "expected a text")
	}
	for i := range materials {
		m := Material{Name: materials[i].Name, SHA256: materials[i].Digest[hashName]}
		if m.Name == "" {
			m.Name = materials[i].URI
		}
		if m.SHA256 != "" {
			if _, err := parseDigest(m.SHA256); err != nil {
				return nil, malformed(where+".materials", "of %q", clip(m.Name)).because(err)
			}
		}
		p.Materials = append(p.Materials, m)
	}
	return p, nil
}

// check says why the provenance is not what the policy demands, or nil.
func (d *ProvenanceDemand) check(p *Provenance) error {
	const remedy = "have it built as the policy demands, or change the policy"
	switch {
	case p.Builder == "":
		return refuse(WrongProvenance, "builder", remedy, "is not named")
	case d == nil:
		return nil
	case len(d.Builders) > 0 && !slices.Contains(d.Builders, p.Builder):
		return refuse(WrongProvenance, "builder", remedy, "found %q: expected one of %s", clip(p.Builder), strings.Join(d.Builders, ", "))
	case d.ModelVersion && p.ModelVersion == "":
		return refuse(WrongProvenance, "model_version", remedy, "is not named")
	}
	for _, want := range d.Datasets {
		if !slices.ContainsFunc(p.Materials, func(m Material) bool { return m.SHA256 == want }) {
			return refuse(WrongProvenance, "materials", remedy, "the data set %s is not among them", want)
		}
	}
	for _, m := range p.Materials {
		if len(d.OnlyKnown) > 0 && !slices.Contains(d.OnlyKnown, m.SHA256) {
			return refuse(WrongProvenance, "materials", remedy, "%q (%s) is not one that the policy knows", clip(m.Name), m.SHA256)
		}
	}
	return nil
}

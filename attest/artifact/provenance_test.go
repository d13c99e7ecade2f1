package artifact_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
)

const (
	builder = "https://ci.example/builder@v2"
	dataset = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

func slsaOf(digest [sha256.Size]byte) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"grasp","digest":{"sha256":"%x"}}],`+
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://ci.example/train","externalParameters":{"model_version":"1.4"},`+
		`"internalParameters":{"gpu":8},"resolvedDependencies":[{"name":"grasps-2026","digest":{"sha256":"%s"}},{"uri":"git+https://x","digest":{"gitCommit":"abc"}}]},`+
		`"runDetails":{"builder":{"id":"%s"},"metadata":{"invocationId":"7"}}}}`, digest, dataset, builder)
}

func TestProvenance(t *testing.T) {
	key := newKey(t, "p256")
	trust := trusting(t, key)
	digest := sha256.Sum256([]byte("model"))
	text := slsaOf(digest)
	verify := func(statement string, d *artifact.ProvenanceDemand) (*artifact.Provenance, error) {
		bundle, err := artifact.SignStatement([]byte(statement), key)
		if err != nil {
			t.Fatal(err)
		}
		return trust.VerifyProvenance(bundle, [][sha256.Size]byte{{}, digest}, d, artifact.Options{})
	}
	p, err := verify(text, &artifact.ProvenanceDemand{Builders: []string{"x", builder}, ModelVersion: true, Datasets: []string{dataset}})
	if err != nil || p.Builder != builder || p.ModelVersion != "1.4" || len(p.Materials) != 2 || p.Materials[1].Name != "git+https://x" {
		t.Fatalf("%+v, %v", p, err)
	}
	old := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"g","digest":{"sha256":"%x"}}],"predicateType":"https://slsa.dev/provenance/v0.2",`+
		`"predicate":{"builder":{"id":"%s"},"buildType":"t","invocation":{"parameters":{"model_version":"1"}},"materials":[{"uri":"d","digest":{"sha256":"%s"}}]}}`, digest, builder, dataset)
	if p, err = verify(old, &artifact.ProvenanceDemand{Builders: []string{builder}, ModelVersion: true, Datasets: []string{dataset}, OnlyKnown: []string{dataset}}); err != nil {
		t.Errorf("v0.2: %+v, %v", p, err)
	}
	for name, c := range map[string]struct {
		statement string
		demand    artifact.ProvenanceDemand
		reason    artifact.Reason
		names     string
	}{
		"another artifact's":     {slsaOf(sha256.Sum256([]byte("other"))), artifact.ProvenanceDemand{}, artifact.WrongSubject, "statement.subject"},
		"no subject":             {strings.Replace(text, `"subject":[{`, `"subject":[],"s":[{`, 1), artifact.ProvenanceDemand{}, artifact.Malformed, "statement"},
		"another predicate":      {strings.Replace(text, "slsa.dev/provenance/v1", "slsa.dev/vsa/v1", 1), artifact.ProvenanceDemand{}, artifact.WrongType, "predicateType"},
		"another builder":        {text, artifact.ProvenanceDemand{Builders: []string{"https://ci.example/builder"}}, artifact.WrongProvenance, "builder"},
		"no builder":             {strings.Replace(text, builder, "", 1), artifact.ProvenanceDemand{}, artifact.WrongProvenance, "builder"},
		"no version":             {strings.Replace(text, "model_version", "version", 1), artifact.ProvenanceDemand{ModelVersion: true}, artifact.WrongProvenance, "model_version"},
		"a version that is none": {strings.Replace(text, `"1.4"`, `14`, 1), artifact.ProvenanceDemand{}, artifact.Malformed, "model_version"},
		"a data set missing":     {text, artifact.ProvenanceDemand{Datasets: []string{strings.Repeat("b", 64)}}, artifact.WrongProvenance, strings.Repeat("b", 64)},
		"a material unknown":     {text, artifact.ProvenanceDemand{OnlyKnown: []string{dataset}}, artifact.WrongProvenance, "git+https://x"},
		"a digest malformed":     {strings.Replace(text, dataset, dataset[1:], 1), artifact.ProvenanceDemand{}, artifact.Malformed, "grasps-2026"},
		"a builder twice":        {strings.Replace(text, `"builder":{`, `"builder":{"id":"x"},"builder":{`, 1), artifact.ProvenanceDemand{}, artifact.Malformed, "comes twice"},
		"a type wrong":           {strings.Replace(text, `"resolvedDependencies":[`, `"resolvedDependencies":7,"x":[`, 1), artifact.ProvenanceDemand{}, artifact.Malformed, "predicate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(c.statement, &c.demand)
			refused(t, err, c.reason, c.names)
		})
	}
	bundle, _ := artifact.SignStatement([]byte(text), newKey(t, "p256"))
	_, err = trust.VerifyProvenance(bundle, [][sha256.Size]byte{digest}, nil, artifact.Options{})
	refused(t, err, artifact.UnknownKey, "not trusted")
}

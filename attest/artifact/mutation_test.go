package artifact_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/internal/mutate"
)

// pardon says which mutants may pass, by path and what was done, and why. A pattern that nothing meets is an error.
type pardon struct{ pattern, why string }

// hunt verifies every mutant: it must be refused and the refusal name a field or a file, or be pardoned and mean the same.
func hunt(t *testing.T, doc any, pardons []pardon, same any, verify func(string) (any, error)) {
	t.Helper()
	list, passed := mutate.Mutants(doc), 0
	used := map[string]bool{}
	for _, m := range list {
		got, err := verify(mutate.Text(m.Doc))
		var e *artifact.Error
		switch {
		case err == nil:
			passed++
			name := m.Path + " " + m.What
			i := slices.IndexFunc(pardons, func(p pardon) bool { return regexp.MustCompile("^(?:" + p.pattern + ")$").MatchString(name) })
			if i < 0 {
				t.Errorf("accepted: %q", name)
				continue
			}
			used[pardons[i].pattern] = true
			if same != nil && !reflect.DeepEqual(got, same) {
				t.Errorf("%q means something else: %+v", name, got)
			}
		case !errors.As(err, &e) || e.Where == "" && len(e.Faults) == 0:
			t.Errorf("%s %s: the refusal names neither field nor file: %v", m.Path, m.What, err)
		}
	}
	for _, p := range pardons {
		if !used[p.pattern] {
			t.Errorf("the pardon %q (%s) is for nothing", p.pattern, p.why)
		}
	}
	t.Logf("%d mutants, %d pardoned", len(list), passed)
	if len(list) < 100 {
		t.Errorf("only %d mutants: this proves nothing", len(list))
	}
}

// around are the mutants of what no signature covers that mean the same.
var around = []pardon{
	{`verificationMaterial\.tlogEntries (is null|is \[\])|verificationMaterial tlogEntries removed|verificationMaterial\.tlogEntries a thing more`, "entries of a log are not judged"},
	{`dsseEnvelope\.signatures\[0\]\.keyid (is null|is "")|dsseEnvelope\.signatures\[0\] keyid removed`, "the key id is a hint"},
}

// TestEveryMutantOfABundle changes each field around the signed text, in bundles of our own with every kind of key, and with a
// certificate.
func TestEveryMutantOfABundle(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			m := newModel(t, alg)
			want, err := m.verify(t)
			if err != nil {
				t.Fatal("the off run:", err)
			}
			hunt(t, mutate.Parse(m.bundle), []pardon{
				{`verificationMaterial\.publicKey (is \{\}|hint removed)|verificationMaterial\.publicKey\.hint (is null|is "")`, "the only trusted key counts where none is named"},
				around[1],
			}, want, func(s string) (any, error) {
				return m.trust.VerifyModel(t.Context(), m.dir, []byte(s), artifact.Options{})
			})
		})
	}
	t.Run("certificate", func(t *testing.T) {
		m := newCertified(t, "p256", "p256", "sha256", nil)
		doc := m.with(t, []*authority{m.leaf}, m.stamp)
		want, err := m.trust.VerifyModel(t.Context(), m.dir, doc, artifact.Options{})
		if err != nil {
			t.Fatal("the off run:", err)
		}
		hunt(t, mutate.Parse(doc), []pardon{around[1], {
			`dsseEnvelope\.signatures\[0\]\.keyid .*`, "beside a certificate the key id names nothing",
		}, {
			`verificationMaterial\.timestampVerificationData\.rfc3161Timestamps first twice`, "the same timestamp twice says the same",
		}}, want, func(s string) (any, error) {
			return m.trust.VerifyModel(t.Context(), m.dir, []byte(s), artifact.Options{})
		})
	})
}

// TestEveryMutantOfAVector does the same with the bundles that OpenSSF's own tool made.
func TestEveryMutantOfAVector(t *testing.T) {
	key := vectorTrust(t)
	for name, c := range map[string]struct {
		path    string
		pardons []pardon
	}{
		"v0.3.1-elliptic-key": {"/signme-1", []pardon{
			{`verificationMaterial\.publicKey (is \{\}|rawBytes removed|keyDetails removed)|verificationMaterial\.publicKey\.rawBytes (is null|is "")|verificationMaterial\.publicKey\.keyDetails (is null|is "")`, "the only trusted key counts, and decides"},
			{`verificationMaterial\.publicKey\.rawBytes a byte less`, "the line feed behind the key's PEM text"},
			around[1],
		}},
		"v1.1.0-elliptic-key": {"", append([]pardon{
			{`verificationMaterial\.publicKey (is \{\}|hint removed)|verificationMaterial\.publicKey\.hint (is null|is "")`, "the only trusted key counts where none is named"},
			around[0],
		}, around[1])},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := vectorFile(t, name+"/model.sig")
			want, err := key.VerifyModel(t.Context(), vectors+name+c.path, bundle, artifact.Options{})
			if err != nil {
				t.Fatal("the off run:", err)
			}
			hunt(t, mutate.Parse(bundle), c.pardons, want, func(s string) (any, error) {
				return key.VerifyModel(t.Context(), vectors+name+c.path, []byte(s), artifact.Options{})
			})
			// The signed text: no change of it survives the signature, whatever it means.
			for _, m := range mutate.Mutants(mutate.Parse(payload(t, bundle))) {
				changed := change(t, bundle, func(d map[string]any) {
					d["dsseEnvelope"].(map[string]any)["payload"] = b64([]byte(mutate.Text(m.Doc)))
				})
				if _, err := key.OpenModel(changed, artifact.Options{}); artifact.ReasonOf(err) != artifact.BadSignature {
					t.Errorf("%s %s: %v", m.Path, m.What, err)
				}
			}
		})
	}
}

// TestEveryMutantOfAStatement has the trusted key itself sign every change of a statement: what passes is a statement that says so
// in its own right, and about the very files that are there.
func TestEveryMutantOfAStatement(t *testing.T) {
	m := newModel(t, "ed25519")
	hunt(t, mutate.Parse(payload(t, m.bundle)), []pardon{
		{`subject\[0\]\.name .*`, "the name is the signer's to choose"},
		{`predicate\.serialization\.allow_symlinks .*|predicate\.serialization allow_symlinks removed`, "links are the signer's to allow, and there are none"},
		{`predicate\.serialization\.ignore_paths.* first twice|predicate\.serialization\.ignore_paths a thing more`, "what is ignored more is not there"},
	}, nil, func(s string) (any, error) {
		got, err := m.trust.VerifyModel(t.Context(), m.dir, m.resign(t, []byte(s)), artifact.Options{})
		if err == nil && len(got.Files) != 4 {
			t.Errorf("passed with %d files", len(got.Files))
		}
		return got, err
	})
}

// TestEveryMutantOfAProvenance has the trusted key sign every change of a provenance: what the policy demands is refused with its
// field, whatever else SLSA lets builders add.
func TestEveryMutantOfAProvenance(t *testing.T) {
	key := newKey(t, "ed25519")
	trust := trusting(t, key)
	digest := sha256.Sum256([]byte("model"))
	demand := &artifact.ProvenanceDemand{Builders: []string{builder}, ModelVersion: true, Datasets: []string{dataset}}
	hunt(t, mutate.Parse([]byte(slsaOf(digest))), []pardon{
		{`subject\[0\]\.name .*|subject\[0\] name (removed|in other case)`, "the digest names the subject"},
		{`subject first twice`, "one subject of several is the artifact"},
		{`predicate.*a key more|subject\[0\]\.digest a key more`, "SLSA demands that other keys are ignored"},
		{`predicate\.buildDefinition\.(buildType|externalParameters\.model_version|resolvedDependencies\[.\]\.(name|uri)).*`, "other words of the builder's"},
		{`predicate\.buildDefinition (buildType|internalParameters) (removed|in other case)`, "not demanded"},
		{`predicate\.buildDefinition\.internalParameters.*`, "not read"},
		{`predicate\.buildDefinition\.resolvedDependencies (turned round|first twice|last removed)`, "the demanded data set is there"},
		{`predicate\.buildDefinition\.resolvedDependencies\[1\].*`, "not the demanded data set"},
		{`predicate\.buildDefinition\.resolvedDependencies\[0\] name (removed|in other case)`, "the digest names the data set"},
		{`predicate\.runDetails.*metadata.*`, "not read"},
	}, nil, func(s string) (any, error) {
		bundle, err := artifact.SignStatement([]byte(s), key)
		if err != nil {
			t.Fatal(err)
		}
		p, err := trust.VerifyProvenance(bundle, [][sha256.Size]byte{digest}, demand, artifact.Options{})
		if err == nil && (p.Builder != builder || p.ModelVersion == "") {
			t.Errorf("passed with builder %q, model version %q", p.Builder, p.ModelVersion)
		}
		return p, err
	})
}

// TestEveryMutantOfABlobBundle changes each field of one file's bundle.
func TestEveryMutantOfABlobBundle(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"image": "firmware"})
	key := newKey(t, "p256")
	trust := trusting(t, key)
	bundle, err := artifact.SignBlob(artifact.File{SHA256: sha256.Sum256([]byte("firmware"))}, key)
	if err != nil {
		t.Fatal(err)
	}
	hunt(t, mutate.Parse(bundle), []pardon{
		{`verificationMaterial\.publicKey (is \{\}|hint removed)|verificationMaterial\.publicKey\.hint (is null|is "")`, "the only trusted key counts where none is named"},
		{`messageSignature\.messageDigest is null|messageSignature messageDigest removed`, "the digest is a hint"},
	}, nil, func(s string) (any, error) {
		return trust.VerifyBlob(t.Context(), dir+"/image", []byte(s), artifact.Options{})
	})
}

// TestEveryFileInEveryWay changes each file of a model in each way, and demands that the refusal names it and nothing else.
func TestEveryFileInEveryWay(t *testing.T) {
	m := newModel(t, "ed25519")
	signed, err := m.verify(t)
	if err != nil {
		t.Fatal("the off run:", err)
	}
	do := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	ways := map[string]func(name string) []artifact.Fault{
		"removed": func(n string) []artifact.Fault { do(os.Remove(n)); return []artifact.Fault{{What: artifact.Missing}} },
		"a byte more": func(n string) []artifact.Fault {
			old, err := os.ReadFile(n)
			do(err)
			do(os.WriteFile(n, append(old, 'x'), 0o600))
			return []artifact.Fault{{What: artifact.Different}}
		},
		"other content of its length": func(n string) []artifact.Fault {
			old, err := os.ReadFile(n)
			do(err)
			if len(old) == 0 {
				return nil
			}
			old[len(old)-1] ^= 1
			do(os.WriteFile(n, old, 0o600))
			return []artifact.Fault{{What: artifact.Different}}
		},
		"a link to itself elsewhere": func(n string) []artifact.Fault {
			do(os.Rename(n, m.dir+"/.git/x"))
			do(os.Symlink(m.dir+"/.git/x", n))
			return []artifact.Fault{{What: artifact.Link}}
		},
		"a folder": func(n string) []artifact.Fault {
			do(os.Remove(n))
			do(os.Mkdir(n, 0o700))
			return []artifact.Fault{{What: artifact.Missing}}
		},
		"in other case": func(n string) []artifact.Fault {
			do(os.Rename(n, filepath.Join(filepath.Dir(n), strings.ToUpper(filepath.Base(n)))))
			return []artifact.Fault{{What: artifact.Missing}, {Path: "upper", What: artifact.Extra}}
		},
		"one more beside it": func(n string) []artifact.Fault {
			do(os.WriteFile(n+"~", nil, 0o600))
			return []artifact.Fault{{Path: "beside", What: artifact.Extra}}
		},
	}
	for what, edit := range ways {
		for _, f := range signed.Files {
			n := &model{dir: filepath.Join(t.TempDir(), "grasp"), bundle: m.bundle, trust: m.trust}
			write(t, n.dir, content())
			was := m.dir
			m.dir = n.dir
			want := edit(filepath.Join(n.dir, f.Path))
			m.dir = was
			if want == nil {
				continue
			}
			for i := range want {
				switch want[i].Path {
				case "":
					want[i].Path = f.Path
				case "upper":
					want[i].Path = filepath.Join(filepath.Dir(f.Path), strings.ToUpper(filepath.Base(f.Path)))
				case "beside":
					want[i].Path = f.Path + "~"
				}
			}
			_, err := n.verify(t)
			var e *artifact.Error
			if !errors.As(err, &e) || e.Reason != artifact.Changed || !sameFaults(e.Faults, want) {
				t.Errorf("%s, %s: %v, expected %v", f.Path, what, err, want)
			}
		}
	}
}

func sameFaults(a, b []artifact.Fault) bool {
	count := map[artifact.Fault]int{}
	for _, f := range a {
		count[f]++
	}
	for _, f := range b {
		count[f]--
	}
	return !slices.ContainsFunc(slices.Collect(maps.Values(count)), func(n int) bool { return n != 0 })
}

// TestEveryByteOfACertificate flips a bit of each byte of a leaf: it is refused, and the certificate named.
func TestEveryByteOfACertificate(t *testing.T) {
	m := newCertified(t, "p256", "p256", "sha256", nil)
	whole := m.with(t, []*authority{m.leaf}, m.stamp)
	if _, err := m.trust.OpenModel(whole, artifact.Options{}); err != nil {
		t.Fatal("the off run:", err)
	}
	der := m.leaf.cert.Raw
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 1 << (i % 8)
		bundle := change(t, whole, func(d map[string]any) {
			d["verificationMaterial"].(map[string]any)["certificate"] = map[string]any{"rawBytes": b64(changed)}
		})
		_, err := m.trust.OpenModel(bundle, artifact.Options{})
		var e *artifact.Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Where, "bundle.") {
			t.Errorf("byte %d, 0x%02x: %v", i, der[i], err)
		}
	}
}

// TestTheHuntFindsWhatPasses is the off run: a reader that does not look at a field lets its mutants through.
func TestTheHuntFindsWhatPasses(t *testing.T) {
	m := newModel(t, "ed25519")
	blind := func(s string) error {
		var d struct {
			Envelope struct {
				Payload []byte `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if err := json.Unmarshal([]byte(s), &d); err != nil {
			return err
		}
		if hex.EncodeToString(d.Envelope.Payload) != hex.EncodeToString(payload(t, m.bundle)) {
			return errors.New("another payload")
		}
		return nil
	}
	passed := map[string]bool{}
	for _, x := range mutate.Mutants(mutate.Parse(m.bundle)) {
		if blind(mutate.Text(x.Doc)) == nil {
			passed[x.Path] = true
		}
	}
	for _, path := range []string{"mediaType", "dsseEnvelope.payloadType", "dsseEnvelope.signatures[0].sig", "verificationMaterial.publicKey.hint"} {
		if !passed[path] {
			t.Errorf("no mutant of %s passed a reader that does not look at it", path)
		}
	}
}

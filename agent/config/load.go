package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
)

// The kinds of documents.
const (
	// KindProfile is the vendor's robot profile.
	KindProfile = "robot-profile"
	// KindTopics is the integrator's topic mapping.
	KindTopics = "topic-mapping"
	// KindPolicy is the safety engineer's policy.
	KindPolicy = "policy"
	// KindDeployment is IT's deployment.
	KindDeployment = "deployment"
)

// kinds lists the kinds in the order in which they are looked at.
func kinds() []string { return []string{KindProfile, KindTopics, KindPolicy, KindDeployment} }

// kindSet is what a signed policy set counts as; it is an envelope around a policy.
const kindSet = "policy-set"

// maxBundle is the largest signed policy set: a policy in base64, with its signatures.
const maxBundle = 6 << 20

// loader gathers the documents of one Load.
type loader struct {
	policy PolicySource
	out    *Problems
	docs   map[string]*document
	cfg    *Config
	// folder is where the deployment's relative paths start.
	folder string
	// signedOnly refuses a policy outside a signed set.
	signedOnly bool
	// signed is what the policy set said, nil for a plain policy.
	signed *SignedPolicy
}

// LoadConfig loads all that the guard needs: the deployment and the three documents that it names. The policy is taken out
// of its signed set by the source; a plain policy document is refused. The error is a *Problems that lists everything that is wrong.
func LoadConfig(deployment string, policy PolicySource) (*Config, error) {
	l := newLoader(policy)
	l.signedOnly = true
	l.read(deployment)
	if _, ok := l.docs[KindDeployment]; !ok && l.out.Errors() == 0 {
		l.out.addFile(deployment, "wrong-kind", "kind: "+KindDeployment, "another kind", "give the robot's deployment document")
	}
	return l.finish()
}

// Load loads any of the documents, in any order, and what a deployment among them names, and checks each by itself and
// all against each other. Documents that are not given and not named are nil in the result. The error is a *Problems that
// lists everything that is wrong.
func Load(policy PolicySource, files ...string) (*Config, error) {
	l := newLoader(policy)
	for _, f := range files {
		l.read(f)
	}
	return l.finish()
}

// LoadDeployment reads the deployment alone, for the roles that may not read the guard's keys: it opens nothing that the
// deployment names. The error is a *Problems, as from [LoadConfig].
func LoadDeployment(file string) (*Deployment, error) {
	l := newLoader(nil)
	l.read(file)
	d := l.docs[KindDeployment]
	if d == nil && l.out.Errors() == 0 {
		l.out.addFile(file, "wrong-kind", "kind: "+KindDeployment, "another kind", "give the robot's deployment document")
	}
	if d != nil {
		l.cfg.Deployment = &Deployment{}
		if err := l.decode(d, l.cfg.Deployment); err != nil {
			return nil, err
		}
		l.absolute(d)
	}
	if l.out.sort(); l.out.Errors() > 0 {
		return nil, l.out
	}
	return l.cfg.Deployment, nil
}

func newLoader(policy PolicySource) *loader {
	return &loader{policy: policy, out: newProblems(), docs: map[string]*document{}, cfg: &Config{}}
}

// read reads one file and files it by its kind.
func (l *loader) read(file string) {
	raw, err := readFile(file)
	if err != nil {
		l.out.order[file] = cmp.Or(l.out.order[file], len(l.out.order)+1)
		l.out.addFile(file, "unreadable-file", "a file that can be read", reason(err), "check the path and the file's mode")
		return
	}
	l.take(file, raw)
}

// take parses a document and keeps it.
func (l *loader) take(file string, raw []byte) {
	if _, twice := l.out.sources[file]; twice {
		l.out.addFile(file, "duplicate-file", "each file once", "the file again", "give it once")
		return
	}
	l.out.order[file] = len(l.out.order) + 1
	if len(raw) > strictyaml.MaxBytes && !looksLikeSet(raw) {
		raw = raw[:strictyaml.MaxBytes+1] // the parser refuses it
	}
	if looksLikeSet(raw) {
		l.keep(&document{file: file, raw: raw, kind: kindSet, out: l.out})
		return
	}
	d := parse(file, raw, l.out)
	d.sniff()
	if d.kind != "" {
		l.keep(d)
	}
}

func (l *loader) keep(d *document) {
	kind := d.kind
	if kind == kindSet {
		kind = KindPolicy
	}
	if other := l.docs[kind]; other != nil {
		l.out.addFile(d.file, "duplicate-kind", "one document of each kind", "a second "+kind+" beside "+other.file,
			"check them one after the other")
		return
	}
	l.docs[kind] = d
}

// looksLikeSet says whether a file is a DSSE envelope and not YAML of ours.
func looksLikeSet(raw []byte) bool {
	head := string(raw[:min(len(raw), 4096)])
	return strings.HasPrefix(strings.TrimSpace(head), "{") &&
		(strings.Contains(head, `"payloadType"`) || strings.Contains(head, `"payload"`) || len(raw) > strictyaml.MaxBytes)
}

// sniff reads kind and version, which every document has.
func (d *document) sniff() {
	if d.root == nil {
		return
	}
	all := kinds()
	problem := Problem{Expected: "kind: one of " + strings.Join(all, ", "), Example: "kind: policy"}
	key, value := d.root.Get("kind")
	switch {
	case d.root.Kind != strictyaml.Mapping:
		problem.Rule, problem.Found = "wrong-type", found(d.root)
		d.about(d.root, nil, problem)
	case key == nil:
		problem.Rule, problem.Found = "missing-key", "nothing"
		d.about(d.root, at("kind"), problem)
	case value.Kind == strictyaml.Bad: // reported when it was parsed
	case value.Kind != strictyaml.Scalar || !slices.Contains(all, value.Text):
		problem.Rule, problem.Found = "wrong-kind", found(value)
		if c := closest(value.Text, all); c != "" {
			problem.Hint = "did you mean " + c + "?"
		}
		d.about(value, at("kind"), problem)
	default:
		d.kind = value.Text
		d.version()
	}
}

func (d *document) version() {
	key, value := d.root.Get("version")
	problem := Problem{Expected: "version: 1", Example: "version: 1"}
	switch {
	case key == nil:
		problem.Rule, problem.Found = "missing-key", "nothing"
		d.about(d.root, at("version"), problem)
	case value.Kind != strictyaml.Scalar || value.Text != "1" || value.Style != strictyaml.Plain:
		problem.Rule, problem.Found = "wrong-version", found(value)
		problem.Hint = "this program reads version 1"
		d.about(value, at("version"), problem)
		d.kind = "" // what another version's keys mean is not known here
	}
}

// readFile reads a regular file up to the cap of the larger kind.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	return io.ReadAll(io.LimitReader(f, maxBundle+1))
}

// reason tells people why a file cannot be used, without repeating its name.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// finish decodes and checks what was read.
func (l *loader) finish() (*Config, error) {
	if d := l.docs[KindDeployment]; d != nil {
		l.cfg.Deployment = &Deployment{}
		if err := l.decode(d, l.cfg.Deployment); err != nil {
			return nil, err
		}
		l.cfg.Raw.Deployment = d.raw
		l.follow(d)
	}
	l.open()
	for kind, target := range map[string]any{KindProfile: &l.cfg.Profile, KindTopics: &l.cfg.Topics, KindPolicy: &l.cfg.Policy} {
		if d := l.docs[kind]; d != nil && d.kind == kind {
			if err := l.fill(d, target); err != nil {
				return nil, err
			}
		}
	}
	l.check()
	if l.cfg.Profile != nil {
		l.out.NotSeen = NotSeen(l.cfg.Profile.Bus)
	}
	l.out.sort()
	for _, d := range l.docs {
		l.out.Sources = append(l.out.Sources, Source{d.file, d.kind, d.digest})
	}
	// sort.Slice sorts all types by the same code; slices.SortFunc is 9 KB more of the robot's program for each.
	sources, order := l.out.Sources, l.out.order
	sort.Slice(sources, func(i, j int) bool { return order[sources[i].File] < order[sources[j].File] })
	if l.out.Errors() > 0 {
		return nil, l.out
	}
	l.cfg.Warnings, l.cfg.Sources = l.out.List, l.out.Sources
	l.cfg.problems = l.out
	return l.cfg, nil
}

// fill decodes a document into a new value behind target, a **T.
func (l *loader) fill(d *document, target any) error {
	switch target := target.(type) {
	case **Profile:
		*target = &Profile{}
		l.cfg.Raw.Profile, l.cfg.Digests.Profile = d.raw, d.digest
		return l.decode(d, *target)
	case **Topics:
		*target = &Topics{}
		l.cfg.Raw.Topics, l.cfg.Digests.Topics = d.raw, d.digest
		return l.decode(d, *target)
	case **Policy:
		*target = &Policy{}
		l.cfg.Raw.Policy, l.cfg.Digests.Policy = d.raw, d.digest
		return l.decode(d, *target)
	}
	return fmt.Errorf("no document for %T", target)
}

func (l *loader) decode(d *document, v any) error {
	if err := d.decode(v); err != nil {
		return fmt.Errorf("schema of %s: %w", d.kind, err)
	}
	return nil
}

// absolute makes the deployment's paths absolute.
func (l *loader) absolute(d *document) {
	p := &l.cfg.Deployment.Paths
	folder := resolve(filepath.Dir(d.file), ".")
	l.folder = folder
	for _, path := range []*string{&p.Profile, &p.Topics, &p.Policy, &p.Keys, &p.StateDir, &p.JournalDir, &p.ControlSocket} {
		*path = resolve(folder, *path)
	}
	for i := range l.cfg.Deployment.HeartbeatKeys {
		k := &l.cfg.Deployment.HeartbeatKeys[i]
		k.File = resolve(folder, k.File)
	}
	for i := range l.cfg.Deployment.CommandKeys {
		k := &l.cfg.Deployment.CommandKeys[i]
		k.File = resolve(folder, k.File)
	}
	for _, path := range l.cfg.Deployment.others() {
		*path = resolve(folder, *path)
	}
}

// follow reads the documents that the deployment names and nobody has given.
func (l *loader) follow(d *document) {
	l.absolute(d)
	p := &l.cfg.Deployment.Paths
	for _, named := range []struct{ kind, key, file string }{
		{KindProfile, "profile", p.Profile}, {KindTopics, "topics", p.Topics}, {KindPolicy, "policy", p.Policy},
	} {
		if l.docs[named.kind] != nil || named.file == "" {
			continue
		}
		raw, err := readFile(named.file)
		if err != nil {
			where := at("paths", named.key)
			d.about(where.find(d.root), where, Problem{Rule: "unreadable-file", Expected: "a file that can be read", Found: reason(err), folder: l.folder})
			continue
		}
		l.take(named.file, raw)
		if doc := l.docs[named.kind]; doc == nil || doc.file != named.file {
			d.wrong(at("paths", named.key), "wrong-kind", "a document of kind "+named.kind, "another document",
				"see that file's own problems")
		}
	}
}

func resolve(folder, path string) string {
	if path == "" {
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// open takes the policy out of its signed set.
func (l *loader) open() {
	set := l.docs[KindPolicy]
	if set == nil {
		return
	}
	if set.kind != kindSet {
		if l.signedOnly {
			l.out.addFile(set.file, "unsigned-policy", "a signed policy set", "a plain policy document",
				"sign it with robowarden-station; plain policies are for check alone")
		}
		return
	}
	delete(l.docs, KindPolicy)
	if l.policy == nil {
		l.out.addFile(set.file, "signed-set", "a plain policy document", "a signed policy set",
			"its signatures cannot be checked here; give the policy's YAML, or a deployment whose key list can be read")
		return
	}
	if len(set.raw) > maxBundle {
		l.out.addFile(set.file, "too-large", fmt.Sprintf("at most %d bytes", maxBundle), "more", "")
		return
	}
	signed, err := l.policy(l.cfg.Deployment, set.raw)
	if err != nil {
		l.out.addFile(set.file, "signed-set", "a policy set signed by a key in force", err.Error(),
			"sign the policy with robowarden-station")
		return
	}
	l.signed = &signed
	inner := set.file + "#policy"
	l.out.order[inner] = l.out.order[set.file]
	d := parse(inner, signed.YAML, l.out)
	d.sniff()
	if d.kind == KindPolicy {
		l.docs[KindPolicy] = d
	} else if d.kind != "" {
		l.out.addFile(set.file, "wrong-kind", "a policy in the signed set", "a "+d.kind, "sign the policy's document")
	}
}

package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

// Types of what Model Signing writes, version 0.3 to 1.1.
const (
	statementPayload = "application/vnd.in-toto+json"
	statementType    = "https://in-toto.io/Statement/v1"
	modelPredicate   = "https://model_signing/signature/v1.0"
	hashName         = "sha256"
	// wholeFile is the name of the only resource of a model that is one file.
	wholeFile = "."
)

// Bounds of a statement.
const (
	// MaxFiles is the largest number of files of one artifact.
	MaxFiles = 50_000
	// maxIgnored is the largest number of ignored paths.
	maxIgnored = 256
	// maxPath is the longest name of a file in bytes, maxParts the largest number of its parts.
	maxPath, maxParts = 1024, 32
)

type wireStatement struct {
	Type          string          `json:"_type"`
	Subject       []wireSubject   `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

type wireSubject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

type wireModel struct {
	Resources     []wireResource    `json:"resources"`
	Serialization wireSerialization `json:"serialization"`
}

type wireResource struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
}

type wireSerialization struct {
	Method        string   `json:"method"`
	HashType      string   `json:"hash_type"`
	AllowSymlinks bool     `json:"allow_symlinks"`
	IgnorePaths   []string `json:"ignore_paths,omitempty"`
	ShardSize     int64    `json:"shard_size,omitempty"`
}

// File is one file of an artifact.
type File struct {
	// Path is relative to the artifact, with forward slashes; the file's own name for an artifact of one file.
	Path string
	// Size is in bytes; -1 where only the digest is known.
	Size int64
	// SHA256 is the digest of its content.
	SHA256 [sha256.Size]byte
}

// Model is a model whose signature and files are right.
type Model struct {
	// Name is what the signer called it.
	Name string
	// Files are those that were signed, sorted by path. Nothing else of a folder was verified: a loader opens these only.
	Files []File
	// Ignored are the paths that the signature leaves out and that are there.
	Ignored []string
	// Signer is whose signature counted.
	Signer Signer
	// Single is true for a model that is one file.
	Single bool
}

// statement is a signed list of files.
type statement struct {
	name   string
	files  []File
	single bool
	links  bool
	ignore []string
}

// OpenModel verifies the signature of a Model Signing bundle, and not the files: it says what was signed.
func (t *Trust) OpenModel(bundleJSON []byte, o Options) (*Model, error) {
	s, who, err := t.openModel(bundleJSON, &o)
	if err != nil {
		return nil, err
	}
	return &Model{Name: s.name, Files: s.files, Ignored: s.ignore, Signer: *who, Single: s.single}, nil
}

// VerifyModel verifies a Model Signing bundle and that path, a file or a folder, is what was signed: every file with its
// content, and nothing else but what the signature leaves out. Every refusal is an [Error].
func (t *Trust) VerifyModel(ctx context.Context, name string, bundleJSON []byte, o Options) (*Model, error) {
	s, who, err := t.openModel(bundleJSON, &o)
	if err != nil {
		return nil, err
	}
	m := &Model{Name: s.name, Signer: *who, Single: s.single}
	tree, err := openTree(name, s.single)
	if err != nil {
		return nil, err
	}
	defer tree.close()
	tree.links, tree.ignore = s.links, append(slices.Clone(s.ignore), o.Ignore...)
	if s.single {
		tree.ignore = nil
	}
	m.Files, m.Ignored, err = tree.compare(ctx, s.files, o.Progress)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (t *Trust) openModel(bundleJSON []byte, o *Options) (*statement, *Signer, error) {
	b, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, nil, err
	}
	who, err := t.envelope(b, o)
	if err != nil {
		return nil, nil, err
	}
	s, err := parseModel(b.payloadType, b.payload)
	if err != nil {
		return nil, nil, err
	}
	return s, who, nil
}

// parseStatement reads an in-toto statement.
func parseStatement(payloadType string, payload []byte) (*wireStatement, error) {
	if payloadType != statementPayload {
		return nil, refuse(WrongType, "bundle.dsseEnvelope.payloadType", "", "found %q: expected %q", clip(payloadType), statementPayload)
	}
	var w wireStatement
	if err := strict.JSON(payload, &w); err != nil {
		return nil, malformed("statement", "is no in-toto statement").because(err)
	}
	if w.Type != statementType {
		return nil, refuse(WrongType, "statement._type", "", "found %q: expected %q", clip(w.Type), statementType)
	}
	return &w, nil
}

// parseModel reads the statement of Model Signing.
func parseModel(payloadType string, payload []byte) (*statement, error) {
	w, err := parseStatement(payloadType, payload)
	if err != nil {
		return nil, err
	}
	if w.PredicateType != modelPredicate {
		return nil, refuse(WrongType, "statement.predicateType", "", "found %q: expected %q", clip(w.PredicateType), modelPredicate)
	}
	var m wireModel
	if err := strict.JSON(w.Predicate, &m); err != nil {
		return nil, malformed("statement.predicate", "is not Model Signing's").because(err)
	}
	if len(w.Subject) != 1 {
		return nil, malformed("statement.subject", "expected exactly one, found %d", len(w.Subject))
	}
	s := &statement{name: w.Subject[0].Name, links: m.Serialization.AllowSymlinks, ignore: m.Serialization.IgnorePaths}
	if err := checkText("statement.subject[0].name", s.name); err != nil {
		return nil, err
	}
	if err := checkSerialization(&m.Serialization); err != nil {
		return nil, err
	}
	all, err := s.takeFiles(m.Resources)
	if err != nil {
		return nil, err
	}
	if got := w.Subject[0].Digest; len(got) != 1 || got[hashName] != hex.EncodeToString(all) {
		return nil, malformed("statement.subject[0].digest", "is not the SHA-256 of the resources' digests")
	}
	return s, nil
}

func checkSerialization(s *wireSerialization) error {
	const where = "statement.predicate.serialization."
	const remedy = "sign with method \"files\" and SHA-256, the default"
	switch {
	case s.Method != "files":
		return refuse(Unsupported, where+"method", remedy, "found %q: expected \"files\"", clip(s.Method))
	case s.HashType != hashName:
		return refuse(Unsupported, where+"hash_type", remedy, "found %q: expected %q", clip(s.HashType), hashName)
	case s.ShardSize != 0:
		return refuse(Unsupported, where+"shard_size", remedy, "found %d: files are hashed whole", s.ShardSize)
	case len(s.IgnorePaths) > maxIgnored:
		return malformed(where+"ignore_paths", "expected at most %d, found %d", maxIgnored, len(s.IgnorePaths))
	}
	for i, p := range s.IgnorePaths {
		// A signature may lie beside the model; what leads out ignores nothing in it.
		if err := checkPath(strings.TrimPrefix(p, "../")); err != nil {
			return malformed(fmt.Sprintf("%signore_paths[%d]", where, i), "found %q", clip(p)).because(err)
		}
	}
	return nil
}

// takeFiles reads the resources and returns the SHA-256 over their digests.
func (s *statement) takeFiles(resources []wireResource) ([]byte, error) {
	const where = "statement.predicate.resources"
	if len(resources) == 0 || len(resources) > MaxFiles {
		return nil, malformed(where, "expected 1 to %d, found %d", MaxFiles, len(resources))
	}
	s.single = len(resources) == 1 && resources[0].Name == wholeFile
	sum := sha256.New()
	for i := range resources {
		r := &resources[i]
		place := fmt.Sprintf("%s[%d]", where, i)
		if r.Algorithm != hashName {
			return nil, refuse(Unsupported, place+".algorithm", "", "found %q: expected %q", clip(r.Algorithm), hashName)
		}
		digest, err := parseDigest(r.Digest)
		if err != nil {
			return nil, malformed(place+".digest", "of %q", clip(r.Name)).because(err)
		}
		sum.Write(digest[:])
		if !s.single {
			if err := checkPath(r.Name); err != nil {
				return nil, malformed(place+".name", "found %q", clip(r.Name)).because(err)
			}
		}
		// Model Signing sorts by name; another order would be another list under one signature's subject.
		if i > 0 && r.Name == resources[i-1].Name {
			return nil, malformed(place+".name", "%q comes twice", clip(r.Name))
		}
		if ignored(r.Name, s.ignore) && !s.single {
			return nil, malformed(place+".name", "%q is signed and ignored at once", clip(r.Name))
		}
		s.files = append(s.files, File{Path: r.Name, Size: -1, SHA256: digest})
	}
	return sum.Sum(nil), s.sort(where)
}

// sort sorts the files and refuses one that comes twice, and a file that is also a folder.
func (s *statement) sort(where string) error {
	if err := SortFiles(s.files); err != nil {
		return malformed(where, "the list contradicts itself").because(err)
	}
	return nil
}

// SortFiles sorts files by path and says why they cannot be one folder: a path twice, or a file that is also a folder.
func SortFiles(files []File) error {
	byPath(files)
	known := make(map[string]bool, len(files))
	for i := range files {
		if known[files[i].Path] {
			return fmt.Errorf("%q comes twice", clip(files[i].Path))
		}
		known[files[i].Path] = true
	}
	for i := range files {
		for dir := path.Dir(files[i].Path); dir != "."; dir = path.Dir(dir) {
			if known[dir] {
				return fmt.Errorf("%q is a file, and the folder of %q", clip(dir), clip(files[i].Path))
			}
		}
	}
	return nil
}

func parseDigest(s string) ([sha256.Size]byte, error) {
	var out [sha256.Size]byte
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(out) || strings.ToLower(s) != s {
		return out, fmt.Errorf("found %q: expected 64 lower-case hexadecimal digits", clip(s))
	}
	return [sha256.Size]byte(raw), nil
}

// checkPath says why a name cannot be that of a file within an artifact, or nil.
func checkPath(name string) error {
	switch {
	case name == "" || len(name) > maxPath:
		return fmt.Errorf("expected a name of 1 to %d bytes", maxPath)
	case !utf8.ValidString(name):
		return fmt.Errorf("expected UTF-8")
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("expected a relative name")
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("expected a name without empty parts, \".\" and \"..\"")
	case strings.Count(name, "/") >= maxParts:
		return fmt.Errorf("expected at most %d parts", maxParts)
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == '\\' {
			return fmt.Errorf("expected no control characters and no backslash, found %q", r)
		}
	}
	return nil
}

func checkText(where, s string) error {
	if s == "" || len(s) > maxPath || !utf8.ValidString(s) {
		return malformed(where, "expected 1 to %d bytes of UTF-8, found %d", maxPath, len(s))
	}
	return nil
}

// ignored says whether a path is one of the ignored ones or below it.
func ignored(name string, list []string) bool {
	for _, p := range list {
		if name == p || (strings.HasPrefix(name, p) && name[len(p)] == '/') {
			return true
		}
	}
	return false
}

package config

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
	"github.com/robowarden/robowarden/configs"
)

const configsDir = "../../configs"

// documentTypes are the four documents by kind.
func documentTypes() map[string]reflect.Type {
	return map[string]reflect.Type{
		KindProfile: reflect.TypeFor[Profile](), KindTopics: reflect.TypeFor[Topics](),
		KindPolicy: reflect.TypeFor[Policy](), KindDeployment: reflect.TypeFor[Deployment](),
	}
}

// schemaWriter makes JSON Schemas of the very tags that the decoder reads, with the fields' doc comments as descriptions.
type schemaWriter struct {
	dec  *decoder
	docs map[string]string // Type.Field → comment
}

type object = map[string]any

func newSchemaWriter(t *testing.T) *schemaWriter {
	t.Helper()
	w := &schemaWriter{dec: &decoder{fields: map[reflect.Type][]field{}}, docs: map[string]string{}}
	for _, typ := range documentTypes() {
		if err := w.dec.learn(typ); err != nil {
			t.Fatal(err)
		}
	}
	files := token.NewFileSet()
	for _, name := range []string{
		"profile.go", "actuators.go", "kinematics.go", "topics.go", "topicsout.go", "policy.go", "recorder.go", "commanders.go", "overrides.go", "deployment.go",
		"loads.go", "facts.go", "gates.go", "commission.go", "fall.go", "posture.go",
	} {
		f, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						w.docs[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return w
}

// document returns the schema of one kind.
func (w *schemaWriter) document(kind string, t reflect.Type) object {
	s := w.group(t)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "robowarden " + kind
	properties := s["properties"].(object)
	properties["kind"] = object{"const": kind}
	properties["version"] = object{"const": 1}
	s["required"] = append([]string{"kind", "version"}, s["required"].([]string)...)
	return s
}

func (w *schemaWriter) group(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range w.dec.fields[t] {
		p := w.value(&f, f.typ)
		p["description"] = w.docs[docName(t)+"."+t.Field(f.index).Name]
		properties[f.name] = p
		if !f.optional {
			required = append(required, f.name)
		}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "required": required}
}

// docName is the name under which a type's comments are, without its parameters.
func docName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

func (w *schemaWriter) value(f *field, t reflect.Type) object {
	switch {
	case t == pointType:
		number := w.number(f, "number")
		return object{"type": "array", "prefixItems": []object{number, number}, "items": false, "minItems": 2}
	case t == daysType:
		return object{"type": "array", "minItems": 1, "uniqueItems": true, "items": object{"enum": dayNames()}}
	case t == digestType:
		return object{"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
	case t == timeOfDayType:
		return object{"type": "string", "pattern": `^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`}
	case t == timeType:
		return object{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`}
	case t == timezoneType:
		return object{"type": "string", "minLength": 2}
	case t == durationType:
		return object{"type": "string", "pattern": durationForm.String(), "not": object{"pattern": `^(0+(\.0+)?(ms|s|m|h))+$`}}
	}
	switch t.Kind() { //nolint:exhaustive // the kinds that documents have; the rest are integers
	case reflect.Pointer:
		return w.value(f, t.Elem())
	case reflect.Struct:
		return w.group(t)
	case reflect.Slice:
		s := object{"type": "array", "items": w.value(f, t.Elem())}
		if t == f.typ && f.maximum >= 0 {
			s["minItems"], s["maxItems"] = f.minimum, f.maximum
		}
		return s
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return w.number(f, "number")
	case reflect.String:
		return w.text(f)
	}
	return w.number(f, "integer")
}

func (w *schemaWriter) text(f *field) object {
	if len(f.enum) > 0 {
		values := slices.Clone(f.enum)
		for _, v := range f.enum {
			if pkg, name, ok := strings.Cut(v, "/"); ok && f.kin != "" {
				values = append(values, pkg+"/"+f.kin+"/"+name)
			}
		}
		return object{"enum": values}
	}
	form, _ := formNamed(f.form)
	s := object{"type": "string", "pattern": form.pattern}
	if f.typ.Kind() == reflect.String && f.maximum >= 0 {
		s["minLength"], s["maxLength"] = f.minimum, f.maximum
	}
	return s
}

func (w *schemaWriter) number(f *field, kind string) object {
	s := object{"type": kind}
	if f.limits == nil {
		return s
	}
	low, top := "minimum", "maximum"
	if f.limits.lowOpen {
		low = "exclusiveMinimum"
	}
	if f.limits.topOpen {
		top = "exclusiveMaximum"
	}
	s[low], s[top] = f.limits.low, f.limits.top
	return s
}

// TestSchemasAreCurrent holds the shipped schemas against the tags; with -update it writes them.
func TestSchemasAreCurrent(t *testing.T) {
	w := newSchemaWriter(t)
	for kind, typ := range documentTypes() {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(w.document(kind, typ)); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, filepath.Join(configsDir, configs.SchemaFile(kind)), b.String())
	}
}

func compileSchemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	out := map[string]*jsonschema.Schema{}
	for kind := range documentTypes() {
		text, err := fs.ReadFile(configs.FS(), configs.SchemaFile(kind))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(kind, doc); err != nil {
			t.Fatal(err)
		}
		if out[kind], err = c.Compile(kind); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// validate reads a document as an editor would, by another YAML reader, and validates it against its kind's schema.
func validate(schemas map[string]*jsonschema.Schema, src []byte) (known bool, err error) {
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		return false, nil //nolint:nilerr // no reader can read it, so there is nothing to validate
	}
	text, err := json.Marshal(v)
	if err != nil {
		return false, nil //nolint:nilerr // NaN and infinities have no JSON
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return false, err
	}
	m, _ := instance.(map[string]any)
	kind, _ := m["kind"].(string)
	schema := schemas[kind]
	if schema == nil {
		return false, nil
	}
	return true, schema.Validate(instance)
}

// TestSchemasAcceptShipped validates everything that ships.
func TestSchemasAcceptShipped(t *testing.T) {
	schemas := compileSchemas(t)
	n := 0
	err := fs.WalkDir(configs.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".yaml" {
			return err
		}
		n++
		src, err := fs.ReadFile(configs.FS(), name)
		if err != nil {
			return err
		}
		if known, err := validate(schemas, src); !known || err != nil {
			t.Errorf("%s: known %v: %v", name, known, err)
		}
		kind, _, _ := strings.Cut(filepath.Base(name), ".")
		first, _, _ := strings.Cut(string(src), "\n")
		path, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if _, err := os.Stat(filepath.Join(configsDir, filepath.Dir(name), path)); !ok || err != nil {
			t.Errorf("%s: its first line names no schema for editors (%s): %v", name, kind, err)
		}
		return nil
	})
	if err != nil || n < 8 {
		t.Errorf("%d documents: %v", n, err)
	}
}

// beyondSchema are the rules that a JSON Schema cannot say: those about the text of YAML, about names that refer to each
// other, about order and geometry, and about the world outside the document.
func beyondSchema() []string {
	return []string{
		"anchor", "tag", "merge-key", "second-document", "byte-order-mark", "tab", "hidden-character", "duplicate-key", "indentation",
		"syntax", "complex-key", "too-deep", "multi-line-text", "not-utf8", "unquoted-text", "number-form", "duration-unit",
		ruleDuplicate, ruleUnknownName, ruleOrder, ruleExclusive, ruleSecondSource, "needs-ros", "power-cut", "no-stop",
		"single-contact", "required-input", "topic-clash", "chain", "covariance", "geometry", "grid", "no-direction", "never", "unbounded-floor", "off-without-reason",
		"no-effect", "trigger-bounds", "unknown-timezone", "unreadable-file", "key-file", "duplicate-entry", "unused",
		"switched-off", ruleDefinition, ruleDigest, ruleUnknownType, ruleFieldPath, ruleRawTopic,
	}
}

// TestSchemaAndLoaderAgree holds the two against each other over the bad documents: what a schema refuses, the loader
// refuses; what the loader refuses for a reason that a schema can say, the schema refuses.
func TestSchemaAndLoaderAgree(t *testing.T) {
	schemas := compileSchemas(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, name := range append(files, good(kinds()...)...) {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		known, invalid := validate(schemas, src)
		if !known {
			continue
		}
		p := newProblems()
		l := &loader{out: p, docs: map[string]*document{}, cfg: &Config{}}
		l.take(name, src)
		if _, err := l.finish(); err == nil && invalid != nil {
			t.Errorf("%s: the schema refuses what the loader accepts: %v", name, invalid)
		}
		if invalid != nil {
			refused++
			continue
		}
		for _, problem := range p.List {
			// The keys that only some values of others need are the loader's: a schema could say it, nobody could read it.
			conditional := problem.Rule == ruleMissing && slices.ContainsFunc([]string{
				"min", "max", "max_speed_mps", "ack_within", "actuator", "publishers", "frame", "tf", "zone",
			}, func(key string) bool {
				return strings.HasSuffix(problem.Path, "."+key) || problem.Path == "pose.type"
			})
			joints := problem.Rule == ruleJointGate && strings.HasPrefix(problem.Path, "command")
			fits := problem.Rule == "not-allowed" && strings.HasSuffix(problem.Path, ".type")
			duration := problem.Rule == "out-of-range" && strings.HasPrefix(problem.Expected, "a duration")
			if !duration && !slices.Contains(beyondSchema(), problem.Rule) && !conditional && !joints && !fits {
				t.Errorf("%s: the schema accepts %v", name, problem)
			}
		}
	}
	if refused < 30 {
		t.Errorf("only %d bad documents are refused by the schemas", refused)
	}
}

// TestTags reads every tag: names once, examples that name their key, defaults that are in range.
func TestTags(t *testing.T) {
	w := newSchemaWriter(t)
	for typ, fields := range w.dec.fields {
		seen := map[string]bool{}
		for _, f := range fields {
			where := typ.Name() + "." + f.name
			if seen[f.name] {
				t.Errorf("%s twice", where)
			}
			seen[f.name] = true
			if !strings.HasPrefix(f.example, f.name+": ") {
				t.Errorf("%s: example %q", where, f.example)
			}
			if w.docs[docName(typ)+"."+typ.Field(f.index).Name] == "" {
				t.Errorf("%s has no doc comment", where)
			}
			if _, ok := formNamed(f.form); !ok {
				t.Errorf("%s: no form %q", where, f.form)
			}
			base := f.typ
			for base.Kind() == reflect.Pointer || base.Kind() == reflect.Slice {
				base = base.Elem()
			}
			numeric := base == pointType || base != timeOfDayType && base.Kind() == reflect.Int || base.Kind() == reflect.Float64 || base.Kind() == reflect.Int64
			if numeric && f.limits == nil {
				t.Errorf("%s has no range", where)
			}
			if f.preset != "" && !f.optional {
				t.Errorf("%s is required and has a default", where)
			}
			if f.preset != "" && !strings.Contains(w.docs[docName(typ)+"."+typ.Field(f.index).Name], "default is") {
				t.Errorf("%s does not tell its default", where)
			}
		}
	}
}

// TestExamplesAreAccepted reads every example that a message shows: whoever copies one must not be told that it is wrong. An
// example with dots in it leaves something out.
func TestExamplesAreAccepted(t *testing.T) {
	read := 0
	for typ, fields := range newSchemaWriter(t).dec.fields {
		for _, f := range fields {
			if strings.Contains(f.example, "...") || strings.Contains(f.example, "…") {
				continue
			}
			for _, problem := range problemsOfExample(t, typ, &f, f.example) {
				t.Errorf("%s: example %q: %v", typ.Name(), f.example, problem)
			}
			read++
		}
	}
	if read < 100 {
		t.Errorf("only %d examples were read", read)
	}
	frame := reflect.TypeFor[StopFrame]()
	fields, err := fieldsOf(frame)
	if err != nil {
		t.Fatal(err)
	}
	if problemsOfExample(t, frame, &fields[1], "id: 0x80") == nil {
		t.Error("an identifier in hexadecimal is accepted here and nowhere else")
	}
}

// problemsOfExample reads one example as the value of its key.
func problemsOfExample(t *testing.T, typ reflect.Type, f *field, text string) []Problem {
	t.Helper()
	out := &Problems{sources: map[string]*strictyaml.Lines{}}
	d := &decoder{document: parse("example", []byte(text+"\n"), out), fields: map[reflect.Type][]field{}}
	if err := d.learn(typ); err != nil {
		t.Fatal(err)
	}
	if _, value := d.root.Get(f.name); value != nil {
		d.value(value, reflect.New(typ).Elem().Field(f.index), f, at(f.name))
	}
	return out.List
}

// TestDemoIsTheManual finds every key of every document in the commented demonstration.
func TestDemoIsTheManual(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"profile", "topics", "policy", "deployment"} {
		src, err := fs.ReadFile(configs.FS(), configs.Demo+"/"+name+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		text.Write(src)
	}
	var missing []string
	for _, fields := range newSchemaWriter(t).dec.fields {
		for _, f := range fields {
			if !strings.Contains(text.String(), f.name) {
				missing = append(missing, f.name)
			}
		}
	}
	if diff := cmp.Diff([]string(nil), missing); diff != "" {
		t.Error(diff)
	}
}

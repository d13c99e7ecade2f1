package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/robowarden/robowarden/attest/order"
)

// maxDocument is the largest order or list of keys that is read for signing.
const maxDocument = order.MaxPolicyPayload

// readYAML reads exactly one YAML or JSON document into v. Unknown and duplicate keys are errors.
func readYAML(path string, v any) error {
	data, err := readFile(path, maxDocument)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)), yaml.Strict())
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s is empty", path)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s holds more than one document", path)
	}
	return nil
}

// readOrder reads an order with the keys of FORMAT.md and fills in id and validity where they are missing. The rest goes
// through the very decoder that robots use.
func readOrder(path string, now time.Time, valid time.Duration) (*order.Order, error) {
	var doc map[string]any
	if err := readYAML(path, &doc); err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, fmt.Errorf("%s is empty", path)
	}
	filled := maps.Clone(doc)
	kind, _ := doc["kind"].(string)
	from := now.UTC().Truncate(time.Second).Add(-early)
	if given, ok := doc["not_before"].(string); ok {
		if t, err := time.Parse(time.RFC3339, given); err == nil {
			from = t.UTC()
		}
	}
	for key, value := range map[string]string{
		"id": order.NewID(), "not_before": stamp(from), "not_after": stamp(from.Add(lasting(order.Kind(kind), valid))),
	} {
		if _, ok := doc[key]; !ok {
			filled[key] = value
		}
	}
	payload, err := json.Marshal(filled)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	o, err := order.Decode(payload)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05Z") }

// keysFile is KEYS.yaml.
type keysFile struct {
	Keys            []keyEntry       `yaml:"keys"`
	RequiredSigners map[string]int64 `yaml:"required_signers"`
}

// keyEntry is one key of KEYS.yaml. Names are read as they stand: YAML would turn an unquoted 007 into 7.
type keyEntry struct {
	File      any   `yaml:"file"`
	Person    any   `yaml:"person"`
	Roles     []any `yaml:"roles"`
	NotBefore any   `yaml:"not_before"`
	NotAfter  any   `yaml:"not_after"`
	Demo      bool  `yaml:"demo"`
}

// readKeys reads KEYS.yaml and the public keys that it names. Keys without a validity have that of the order.
func readKeys(path string, o *order.Order) (*order.KeyList, error) {
	var doc keysFile
	if err := readYAML(path, &doc); err != nil {
		return nil, err
	}
	list := &order.KeyList{}
	for i, e := range doc.Keys {
		key, err := e.read(filepath.Dir(path), o)
		if err != nil {
			return nil, fmt.Errorf("%s: keys[%d]: %w", path, i, err)
		}
		list.Keys = append(list.Keys, key)
	}
	for kind, n := range doc.RequiredSigners {
		if list.RequiredSigners == nil {
			list.RequiredSigners = map[order.Kind]int{}
		}
		list.RequiredSigners[order.Kind(kind)] = int(n)
	}
	return list, nil
}

func (e *keyEntry) read(folder string, o *order.Order) (order.Key, error) {
	key := order.Key{NotBefore: o.NotBefore, NotAfter: o.NotAfter, Demo: e.Demo}
	file, err := text("file", e.File)
	if err != nil {
		return key, err
	}
	if key.Person, err = text("person", e.Person); err != nil {
		return key, err
	}
	for i, r := range e.Roles {
		role, err := text(fmt.Sprintf("roles[%d]", i), r)
		if err != nil {
			return key, err
		}
		key.Roles = append(key.Roles, order.Role(role))
	}
	if err := moment("not_before", e.NotBefore, &key.NotBefore); err != nil {
		return key, err
	}
	if err := moment("not_after", e.NotAfter, &key.NotAfter); err != nil {
		return key, err
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(folder, file)
	}
	pem, err := readFile(file, maxKeyFile)
	if err != nil {
		return key, err
	}
	pub, err := order.ParsePublicKey(pem)
	if err != nil {
		return key, fmt.Errorf("%s: %w", file, err)
	}
	// Written anew, so that line ends and spaces of the file do not travel in the list.
	if pem, err = order.MarshalPublicKey(pub); err != nil {
		return key, fmt.Errorf("%s: %w", file, err)
	}
	key.PEM = string(pem)
	key.ID, err = order.KeyID(pub)
	return key, err
}

// text demands a string that YAML has not taken for something else.
func text(name string, v any) (string, error) {
	s, ok := v.(string)
	switch {
	case v == nil:
		return "", fmt.Errorf("%s is missing", name)
	case !ok:
		return "", fmt.Errorf("%s: YAML reads this as the %T %v: put it in quotes", name, v, v)
	}
	return s, nil
}

// moment reads a time where one is given.
func moment(name string, v any, out *time.Time) error {
	if v == nil {
		return nil
	}
	s, err := text(name, v)
	if err != nil {
		return err
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", s)
	if err != nil {
		return fmt.Errorf("%s: found %q: expected UTC in whole seconds like \"2027-12-31T00:00:00Z\"", name, s)
	}
	*out = t
	return nil
}

// Package attest is the station's subcommands verifier and verify: they challenge robots over MQTT, keep what robots are
// enrolled with, and explain recorded evidence; they never change anything on a robot.
//
// Every command ends with 0 if the answer is yes, 1 if it is no (refused evidence, unusable documents), and 2 if it was
// not used as it should be.
package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/verifier"
)

// maxFile is larger than any key or certificate.
const maxFile = 256 << 10

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, the most that is read", path, limit)
	}
	return data, nil
}

// readDocument reads a document that people keep, JSON or YAML, as strict JSON.
func readDocument(path string) ([]byte, error) {
	data, err := readFile(path, verifier.MaxReferences)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		return data, nil // The reader of the document is stricter than YAML's.
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)), yaml.Strict())
	var doc, more any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s holds more than one document", path)
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// readIdentity reads a robot's identity from a file.
func readIdentity(path string) (*evidence.Identity, error) {
	data, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	i := &evidence.Identity{}
	if err := i.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return i, nil
}

package enrol

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
	"github.com/robowarden/robowarden/attest/internal/strict"
)

const (
	stateFile = "enrolment.json"
	lockFile  = "lock"
	// maxState is larger than any state in bytes.
	maxState = 256 << 10
)

// state is what a robot has to know to go on. It holds a secret until the robot is enrolled.
type state struct {
	// Robot is whose it is.
	Robot string `json:"robot"`
	// Server is the authority's address.
	Server string `json:"server"`
	// EST says that the server knows nothing but EST; Path is where EST begins there.
	EST  bool   `json:"est,omitempty"`
	Path string `json:"path"`
	// User and Secret are for the first enrolment (HTTP Basic); they are gone afterwards.
	User   string `json:"user,omitempty"`
	Secret string `json:"secret,omitempty"`
	// Roots vouch for the server's connection, PEM.
	Roots string `json:"roots"`
	// Issuers vouch for robots' certificates, PEM, as the server has told them.
	Issuers string `json:"issuers,omitempty"`
	// Request is the certificate request under way, DER: an authority that lets wait wants the same one again.
	Request []byte `json:"request,omitempty"`
	// Replaces is the SHA-256 of the certificate that the robot had when it was invited, in hexadecimal digits.
	Replaces string `json:"replaces,omitempty"`
	// Enrolled says that a certificate came.
	Enrolled bool `json:"enrolled,omitempty"`
}

// begunBy is the part of the state that comes from an invitation or a server's description.
func (s *state) begunBy() [7]string {
	return [...]string{s.Robot, s.Server, strconv.FormatBool(s.EST), s.Path, s.User, s.Secret, s.Roots}
}

// folder is the robot's state on the disk.
type folder struct {
	dir  string
	lock *os.File
}

// openFolder opens the folder, and keeps every other enrolment off it until close.
func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: another enrolment is under way (%w)", dir, err)
	}
	durable.Sweep(filepath.Join(dir, stateFile))
	return &folder{dir, f}, nil
}

func (f *folder) close() {
	_ = unix.Flock(int(f.lock.Fd()), unix.LOCK_UN) // also where a child has a copy of the descriptor
	f.lock.Close()
}

// load reads the state, nil if there is none.
func (f *folder) load() (*state, error) {
	path := filepath.Join(f.dir, stateFile)
	data, err := durable.ReadPrivate(path, maxState)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := strict.JSON(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w: remove it and enrol with a new invitation", path, err)
	}
	return s, nil
}

// save writes the state.
func (f *folder) save(s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.Write(filepath.Join(f.dir, stateFile), append(data, '\n'), 0o600)
}

// chain reads the certificate that the robot has, nil if it has none or one for another key.
func chain(path string, key crypto.PublicKey) ([]*x509.Certificate, error) {
	text, err := durable.Read(path, identity.MaxAnswer)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	certs, err := identity.ParsePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if own, ok := certs[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(key) {
		return nil, nil
	}
	return certs, nil
}

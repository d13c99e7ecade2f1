package identity

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"strings"
)

// hardwareType is the hwType of robots, an object identifier made from a UUID as ITU-T X.667 allows everybody:
// 79c36cbe-58bf-4d2a-835b-2f0b8807b19b. The TCG has one for TPMs; the serial number here is the robot's.
const hardwareType = "2.25.161851290958443134201826433201663881627"

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	// oidHardwareModule is id-on-hardwareModuleName (RFC 4108, section 5).
	oidHardwareModule = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 4}
)

// otherName is the tag of an otherName in a subject alternative name.
const otherName = 0

// maxAltName is larger than any subject alternative name that is written here, in bytes.
const maxAltName = 1024

// Subject is what the subject of a certificate says: role and name, and of a robot manufacturer and serial number.
func Subject(role Role, name string) pkix.Name {
	s := pkix.Name{CommonName: CommonName(role, name), OrganizationalUnit: []string{string(role)}}
	if ofRobot(role) {
		manufacturer, serial, _ := strings.Cut(name, "/")
		s.Organization, s.SerialNumber = []string{manufacturer}, serial
	}
	return s
}

// hardwareModule is the subject alternative name of a robot: a hardwareModuleName with its serial number.
func hardwareModule(robot string) (pkix.Extension, error) {
	_, serial, _ := strings.Cut(robot, "/")
	oid, err := x509.ParseOID(hardwareType)
	if err != nil {
		return pkix.Extension{}, err
	}
	content, err := oid.MarshalBinary()
	if err != nil {
		return pkix.Extension{}, err
	}
	module, err := asn1.Marshal([]asn1.RawValue{{Tag: asn1.TagOID, Bytes: content}, {Tag: asn1.TagOctetString, Bytes: []byte(serial)}})
	if err != nil {
		return pkix.Extension{}, err
	}
	kind, err := asn1.Marshal(oidHardwareModule)
	if err != nil {
		return pkix.Extension{}, err
	}
	value, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: module})
	if err != nil {
		return pkix.Extension{}, err
	}
	names, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: otherName, IsCompound: true, Bytes: append(kind, value...)}})
	return pkix.Extension{Id: oidSubjectAltName, Value: names}, err
}

// altNames puts role and name into a certificate's or a request's fields.
func altNames(role Role, name string) (ext []pkix.Extension, hosts []string, addresses []net.IP, err error) {
	switch role {
	case RoleRobot, RoleRecovery:
		e, err := hardwareModule(name)
		return []pkix.Extension{e}, nil, nil, err
	case RoleServer:
		if ip := net.ParseIP(name); ip != nil {
			return nil, nil, []net.IP{ip}, nil
		}
		return nil, []string{name}, nil, nil
	case RoleFleetManager, RoleVendor, RoleOperator, RoleSafetyEngineer:
	}
	return nil, nil, nil, nil
}

// checkNames says what of a subject and its alternative names is not exactly what Subject and hardwareModule write. A request
// that asks for more than its role and name is refused, not trimmed: somebody may read what was asked as what was given.
func checkNames(role Role, name string, subject pkix.Name, extensions []pkix.Extension) error {
	want := Subject(role, name)
	if got, expected := subject.String(), want.String(); got != expected {
		return fmt.Errorf("subject: found %q: expected %q", clipLong(got), expected)
	}
	if !ofRobot(role) {
		return nil
	}
	expected, err := hardwareModule(name)
	if err != nil {
		return err
	}
	found := false
	for _, e := range extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		if found || !bytes.Equal(e.Value, expected.Value) {
			return fmt.Errorf("subject alternative name: found %s: expected the hardware module name of %s and nothing else", describeAlt(e.Value), name)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("subject alternative name: is missing: expected the hardware module name of %s", name)
	}
	return nil
}

// describeAlt says for people what a subject alternative name holds.
func describeAlt(value []byte) string {
	if serial, err := hardwareSerial(value); err == nil {
		return fmt.Sprintf("a hardware module with serial number %q", clip(serial))
	}
	return fmt.Sprintf("%d other bytes", len(value))
}

// hardwareSerial reads the serial number out of a subject alternative name that holds one hardwareModuleName of robots.
func hardwareSerial(value []byte) (string, error) {
	var names []asn1.RawValue
	if len(value) > maxAltName {
		return "", fmt.Errorf("has %d bytes: expected at most %d", len(value), maxAltName)
	}
	if rest, err := asn1.Unmarshal(value, &names); err != nil || len(rest) > 0 || len(names) != 1 {
		return "", errors.New("expected one name")
	}
	var kind asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(names[0].Bytes, &kind)
	if err != nil || names[0].Class != asn1.ClassContextSpecific || names[0].Tag != otherName || !kind.Equal(oidHardwareModule) {
		return "", errors.New("expected a hardwareModuleName")
	}
	var wrapped asn1.RawValue
	if more, err := asn1.Unmarshal(rest, &wrapped); err != nil || len(more) > 0 || wrapped.Class != asn1.ClassContextSpecific || wrapped.Tag != 0 {
		return "", errors.New("expected a hardwareModuleName")
	}
	var module []asn1.RawValue
	if more, err := asn1.Unmarshal(wrapped.Bytes, &module); err != nil || len(more) > 0 || len(module) != 2 || module[1].Tag != asn1.TagOctetString {
		return "", errors.New("expected a type and a serial number")
	}
	return string(module[1].Bytes), nil
}

// clipLong shortens a foreign distinguished name for an error message.
func clipLong(s string) string {
	if len(s) > 256 {
		return s[:256] + "..."
	}
	return s
}

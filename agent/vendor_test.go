package agent

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/replay"
)

// Sizes and places (motorsAt is the first q) in the example's types as XCDR1 lays them out, with the encapsulation.
const (
	lowStateBytes, quaternionAt, gyroAt, motorsAt, motorBytes = 4 + 2088, 4 + 16, 4 + 32, 4 + 72, 56
	bmsStateBytes, chargeAt                                   = 4 + 164, 4 + 100
)

// lowState is a state of the example's body at rest: motor i at i/10 rad.
func lowState() []byte {
	b := make([]byte, lowStateBytes)
	b[1] = 1
	put := func(at int, v float32) { binary.LittleEndian.PutUint32(b[at:], math.Float32bits(v)) }
	put(quaternionAt, 1)
	put(gyroAt+8, 0.01)
	put(gyroAt+12+8, 9.81) // the accelerometer comes next
	for i := range 35 {
		put(motorsAt+i*motorBytes, float32(i)/10)
	}
	return b
}

// TestVendorTypesOnADomain: the example's guard reads joints, inertial unit and battery from plain DDS writers without a
// node, in types of which it has nothing but the definition.
func TestVendorTypesOnADomain(t *testing.T) {
	t.Parallel()
	s := newDomainSiteOf(t, "humanoid-dds", `"dds:192.168.123.161"`, `"dds:127.0.0.1"`)
	missing := func(inputs ...string) int {
		n := 0
		for _, m := range s.agent.guard.Status().Missing {
			if slices.Contains(inputs, m) {
				n++
			}
		}
		return n
	}
	s.eventually("a tick", func() bool { return s.agent.guard.Ticks() > 0 })
	if n := missing("joints", "imu", "battery"); n != 3 {
		t.Fatalf("%d of joints, imu and battery are missing before anybody sent them", n)
	}
	_, body := s.rawWriter("rt/lowstate", "unitree_hg::msg::dds_::LowState_")
	_, bms := s.rawWriter("rt/lf/bmsstate", "unitree_hg::msg::dds_::BmsState_")
	battery := make([]byte, bmsStateBytes)
	battery[1], battery[chargeAt] = 1, 80
	var seq uint64
	s.eventually("joints, imu and battery", func() bool {
		seq++
		_, err := body.Write(seq, lowState())
		s.must(err)
		_, err = bms.Write(seq, battery)
		s.must(err)
		return missing("joints", "imu", "battery") == 0
	})
	for _, code := range []string{"publisher.unknown", "publisher.conflict", "gate.bypass"} {
		if present, latched := s.trigger(code); present || latched {
			t.Errorf("%s without a reason", code)
		}
	}
	// The definition is kept by its content, so that the documents of a run can be read again from there alone.
	folder := filepath.Join(s.dir, "state", "documents")
	cfg, err := config.Load(nil, filepath.Join(folder, strings.TrimPrefix(s.agent.cfg.Digests.Topics.String(), "sha256:")+".yaml"))
	s.must(err)
	if cfg.Vendor.Joints == nil || cfg.Vendor.IMU == nil || cfg.Vendor.Battery == nil {
		t.Errorf("of the stored documents: %+v", cfg.Vendor)
	}
	d := s.agent.cfg.Digests
	if _, err := replay.Documents(folder)(replay.Start{
		Profile: d.Profile.String(), Topics: d.Topics.String(), Policy: d.Policy.String(), Serial: "diff-01", Node: "/robowarden",
	}); err != nil {
		t.Error(err)
	}
}

// TestDefinitionWithOtherContent: a guard does not start with a definition that the mapping's digest, and so the policy's
// pin, is not for.
func TestDefinitionWithOtherContent(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, "humanoid-dds", func(_ string, raw []byte) []byte {
		return []byte(strings.NewReplacer("humanoid-01", "diff-01", "host: 192.168.123.164, multicast: true", "host: 127.0.0.1, multicast: false").Replace(string(raw)))
	})
	name := filepath.Join(s.dir, "unitree_hg.idl")
	raw, err := os.ReadFile(name)
	s.must(err)
	s.must(os.WriteFile(name, append(raw, '\n'), 0o600))
	if _, err := s.start(); err == nil || !strings.Contains(err.Error(), "digest-mismatch") {
		t.Errorf("%v; expected that the definition has another digest", err)
	}
	s.must(os.WriteFile(name, raw, 0o600))
	if got := s.revision(); got != 1 {
		t.Errorf("with the definition as it was: revision %d", got)
	}
}

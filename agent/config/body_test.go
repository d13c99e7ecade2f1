package config

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/configs"
	"github.com/robowarden/robowarden/geofence"
)

// body is the example with a URDF, in a folder of its own; change edits profile, URDF and policy. Digests are set anew.
func body(t *testing.T, change func(profile, urdf, policy *string)) (*Config, error) {
	t.Helper()
	return bodyIn(t, t.TempDir(), change)
}

func bodyIn(t *testing.T, dir string, change func(profile, urdf, policy *string)) (*Config, error) {
	t.Helper()
	text := map[string]string{}
	for _, name := range []string{"profile.yaml", "robot.urdf", "policy.yaml"} {
		b, err := fs.ReadFile(configs.FS(), configs.Humanoid+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(b)
	}
	profile, robot, policy := text["profile.yaml"], text["robot.urdf"], text["policy.yaml"]
	before := [2][32]byte{sha256.Sum256([]byte(robot)), sha256.Sum256([]byte(profile))}
	change(&profile, &robot, &policy)
	repinned := strings.Replace(profile, fmt.Sprintf("%x", before[0]), fmt.Sprintf("%x", sha256.Sum256([]byte(robot))), 1)
	policy = strings.Replace(policy, fmt.Sprintf("%x", before[1]), fmt.Sprintf("%x", sha256.Sum256([]byte(repinned))), 1)
	write(t, filepath.Join(dir, "profile.yaml"), repinned)
	write(t, filepath.Join(dir, "robot.urdf"), robot)
	write(t, filepath.Join(dir, "policy.yaml"), policy)
	return Load(nil, filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "policy.yaml"))
}

func swap(t *testing.T, s *string, old, with string) {
	t.Helper()
	if !strings.Contains(*s, old) {
		t.Fatalf("there is no %q", old)
	}
	*s = strings.Replace(*s, old, with, 1)
}

func TestBodyReachesTheGeofence(t *testing.T) {
	cfg, err := body(t, func(_, _, _ *string) {})
	if err != nil {
		t.Fatal(err)
	}
	spec, robot := cfg.Policy.Fence(cfg.Profile, nil)
	if n := len(robot.Chain.Parts); n != 7 || len(robot.Chain.Groups) != 3 || robot.HeightM != 1.45 {
		t.Errorf("%d parts, %d groups, %v m high", n, len(robot.Chain.Groups), robot.HeightM)
	}
	robot.AssumedStdDevM, robot.AssumedYawStdDevRad = 0.05, 0.05
	set, err := geofence.Compile(spec, robot)
	if err != nil || !set.Limbs() || set.Camera(0) != "head" {
		t.Errorf("the geofence: %v", err)
	}
}

// TestBodyProblems is named by what is wrong; the error must name the place and tell what to do.
func TestBodyProblems(t *testing.T) {
	type texts = func(profile, urdf, policy *string)
	hand := `<collision><origin xyz="0 0 -0.045" rpy="0 0 0"/><geometry><box size="0.03 0.07 0.09"/></geometry></collision>`
	mesh := `<collision><geometry><mesh filename="package://x/hand.stl"/></geometry></collision>`
	for _, c := range []struct {
		name, want string
		change     texts
	}{
		{"URDF missing", "unreadable-file", func(p, _, _ *string) { swap(t, p, "urdf: robot.urdf", "urdf: other.urdf") }},
		{"URDF in another folder", "kinematics.urdf: text-form", func(p, _, _ *string) { swap(t, p, "urdf: robot.urdf", "urdf: ../robot.urdf") }},
		{"another URDF", "kinematics.sha256: pin-mismatch", func(p, _, _ *string) { swap(t, p, "sha256: \"sha256:", "sha256: \"sha256:0000"); swapTail(p) }},
		{"not XML", "robot.urdf, line 70", func(_, u, _ *string) {
			swap(t, u, `<link name="base_link"/>`, `<link name="base_link">`)
			swap(t, u, "</robot>", "</link>")
		}},
		{"joint that the profile lacks", `"left_elbow_joint" is not there`, func(p, _, _ *string) {
			swap(t, p, "    - {name: left_elbow_joint, group: arm, min: -1.0, max: 2.0, max_velocity: 25}\n", "")
		}},
		{"mesh without a capsule", "capsules for the link left_hand, whose shape is a mesh", func(_, u, _ *string) { swap(t, u, hand, mesh) }},
		{"link without a shape", "it has none", func(_, u, _ *string) { swap(t, u, hand, "") }},
		{"capsule too small", "a piece of it stands out by", func(p, _, _ *string) {
			swap(t, p, "  parts:\n", "  capsules:\n    - {link: left_hand, from: [0, 0, 0], to: [0, 0, -0.09], radius_m: 0.03}\n  parts:\n")
		}},
		{"capsule on no link", "did you mean left_hand?", func(p, _, _ *string) {
			swap(t, p, "  parts:\n", "  capsules:\n    - {link: left_hnd, from: [0, 0, 0], to: [0, 0, -0.09], radius_m: 0.06}\n  parts:\n")
		}},
		{"group of an unknown link", "kinematics.parts[0].links[0]: unknown-name", func(p, _, _ *string) { swap(t, p, "links: [left_hand,", "links: [left_paw,") }},
		{"group named contour", "not taken and not", func(p, _, _ *string) { swap(t, p, "name: head, links", "name: contour, links") }},
		{"camera on no link", "kinematics.cameras[0].link: unknown-name", func(p, _, _ *string) { swap(t, p, "link: head_camera,", "link: tail_camera,") }},
		{"axis of no length", "expected a direction", func(p, _, _ *string) { swap(t, p, "axis: [1, 0, 0]", "axis: [0, 0, 0]") }},
		{"axis of two numbers", "list-length", func(p, _, _ *string) { swap(t, p, "axis: [1, 0, 0]", "axis: [1, 0]") }},
		{"base frame that is no link", "expected the root link", func(p, _, _ *string) { swap(t, p, "  base_low_m:", "  base_link: left_hand\n  base_low_m:") }},
		{"base upside down", "BaseHighM", func(p, _, _ *string) { swap(t, p, "base_high_m: 0.03", "base_high_m: -0.5") }},
		{"zone for unknown parts", "zones[2].parts[0]: unknown-name", func(_, _, y *string) { swap(t, y, "parts: [hands]", "parts: [hand]") }},
		{"zone for unknown cameras", "zones[3].views[0]: unknown-name", func(_, _, y *string) { swap(t, y, "views: [head]", "views: [tail]") }},
		{"heights the wrong way", "zones[2].to_m: wrong-order", func(_, _, y *string) { swap(t, y, "from_m: 0.70", "from_m: 1.90") }},
		{"parts in a KEEP_IN zone", "zones[0].parts: one-of", func(_, _, y *string) {
			swap(t, y, "    reason: outer walls", "    parts: [hands]\n    reason: outer walls")
		}},
		{"height of a KEEP_IN zone", "no from_m and to_m", func(_, _, y *string) { swap(t, y, "    reason: outer walls", "    to_m: 2\n    reason: outer walls") }},
		{"part twice", "each name once", func(_, _, y *string) { swap(t, y, "parts: [hands]", "parts: [hands, hands]") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := body(t, c.change)
			if err == nil {
				t.Fatal("accepted")
			}
			var b strings.Builder
			p, ok := err.(*Problems) //nolint:errorlint // Load promises it
			if !ok {
				t.Fatal(err)
			}
			if err := p.Render(&b, false); err != nil {
				t.Fatal(err)
			}
			if text := err.Error() + "\n" + b.String(); !strings.Contains(text, c.want) {
				t.Errorf("no %q in:\n%s", c.want, text)
			}
		})
	}
}

// swapTail keeps a digest's length.
func swapTail(p *string) {
	i := strings.Index(*p, "sha256:0000") + len("sha256:") + 64
	*p = (*p)[:i] + (*p)[i+4:]
}

// TestBodyWarnings is about what is allowed and probably not meant.
func TestBodyWarnings(t *testing.T) {
	cfg, err := body(t, func(p, _, y *string) {
		swap(t, p, "name: left_elbow_joint, group: arm, min: -1.0", "name: left_elbow_joint, group: arm, min: -1.5")
		swap(t, y, "to_m: 1.10\n    reason: the counter itself", "from_m: 1.50\n    reason: the counter itself")
	})
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, w := range cfg.Warnings {
		rules = append(rules, w.Rule)
	}
	if got := strings.Join(rules, " "); !strings.Contains(got, "limits") || !strings.Contains(got, "no-effect") {
		t.Errorf("warnings %v", rules)
	}
}

// TestURDFByItsDigest loads from a store by content, as replays do.
func TestURDFByItsDigest(t *testing.T) {
	dir := t.TempDir()
	if _, err := bodyIn(t, dir, func(_, _, _ *string) {}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "robot.urdf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "robot.urdf"), filepath.Join(dir, fmt.Sprintf("%x.urdf", sha256.Sum256(raw)))); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(nil, filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "policy.yaml"))
	if err != nil || string(cfg.Raw.URDF) != string(raw) {
		t.Errorf("by digest: %v", err)
	}
}

// stl is a binary STL of a box's twelve triangles, in mm.
func stl(size [3]float64) []byte {
	var corners [8][3]float64
	for i := range corners {
		for k := range 3 {
			corners[i][k] = (float64(i>>k&1) - 0.5) * size[k]
		}
	}
	out := make([]byte, 80)
	faces := [][3]int{{0, 1, 3}, {0, 3, 2}, {4, 5, 7}, {4, 7, 6}, {0, 1, 5}, {0, 5, 4}, {2, 3, 7}, {2, 7, 6}, {0, 2, 6}, {0, 6, 4}, {1, 3, 7}, {1, 7, 5}}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(faces)))
	for _, f := range faces {
		out = append(out, make([]byte, 12)...)
		for _, c := range f {
			for k := range 3 {
				out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(corners[c][k])))
			}
		}
		out = append(out, 0, 0)
	}
	return out
}

// TestMeshesAreHeldAgainstTheirCapsules has a hand of 60 × 60 × 120 mm.
func TestMeshesAreHeldAgainstTheirCapsules(t *testing.T) {
	hand := `<collision><origin xyz="0 0 -0.045" rpy="0 0 0"/><geometry><box size="0.03 0.07 0.09"/></geometry></collision>`
	for _, c := range []struct {
		name, radius, want string
		file               func(dir string)
	}{
		{"it contains", "0.055", "", func(dir string) { write(t, filepath.Join(dir, "hand.stl"), string(stl([3]float64{60, 60, 120}))) }},
		{"too thin", "0.030", "stands out by 22", func(dir string) { write(t, filepath.Join(dir, "hand.stl"), string(stl([3]float64{60, 60, 120}))) }},
		{"no file", "0.055", "no such file", func(string) {}},
		{"no STL", "0.055", "neither kind", func(dir string) { write(t, filepath.Join(dir, "hand.stl"), "PNG") }},
		{"text", "0.055", "", func(dir string) {
			write(t, filepath.Join(dir, "hand.stl"), "solid x\nfacet normal 0 0 1\nouter loop\nvertex 1 2 3\nvertex -30 30 60\nvertex 30 0 -60\nendloop\nendfacet\nendsolid\n")
		}},
		{"text, cut short", "0.055", "three vertices", func(dir string) { write(t, filepath.Join(dir, "hand.stl"), "solid x\nvertex 1 2 3\nvertex 0 0 0\n") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "meshes"), 0o700); err != nil {
				t.Fatal(err)
			}
			c.file(filepath.Join(dir, "meshes"))
			_, err := bodyIn(t, dir, func(p, u, _ *string) {
				swap(t, u, hand, `<collision><geometry><mesh filename="package://x/hand.stl" scale="0.001 0.001 0.001"/></geometry></collision>`)
				swap(t, p, "  parts:\n", "  capsules:\n    - {link: left_hand, from: [0, 0, -0.03], to: [0, 0, 0.03], radius_m: "+c.radius+"}\n  meshes: meshes\n  parts:\n")
			})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzSTL(f *testing.F) {
	f.Add(stl([3]float64{1, 2, 3}))
	f.Add([]byte("solid x vertex 1 2 3 vertex 1 2 3 vertex 1 2 3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := parseSTL(data)
		if err == nil && len(out) == 0 {
			t.Fatal("neither triangles nor an error")
		}
		for _, tri := range out {
			for _, v := range tri {
				for _, x := range v {
					if math.IsNaN(x) || math.IsInf(x, 0) {
						t.Fatal(tri)
					}
				}
			}
		}
	})
}

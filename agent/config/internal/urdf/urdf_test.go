package urdf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const arm = `<?xml version="1.0" encoding="utf-8"?>
<!-- an arm -->
<robot name="arm">
  <material name="grey"/>
  <link name="base">
    <visual><geometry><mesh filename="package://arm/base.dae"/></geometry></visual>
    <collision>
      <origin xyz="0 0 0.1" rpy="0 0 1.57"/>
      <geometry><box size="0.2 0.3 0.4"/></geometry>
    </collision>
    <collision><geometry><sphere radius="0.1"/></geometry></collision>
  </link>
  <link name="upper"><collision><geometry><cylinder radius="0.05" length="0.3"/></geometry></collision></link>
  <link name="hand"><collision><geometry><mesh filename="package://arm/hand.stl" scale="0.001 0.001 0.001"/></geometry></collision></link>
  <link name="thumb"/>
  <joint name="shoulder" type="revolute">
    <origin xyz="0 0.2 1e-1"/><parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="2" effort="10" velocity="3"/><dynamics damping="1"/>
  </joint>
  <joint name="wrist" type="continuous"><parent link="upper"/><child link="hand"/></joint>
  <joint name="grip" type="prismatic">
    <parent link="hand"/><child link="thumb"/><axis xyz="0 0 -1"/><limit lower="0" upper="0.04" effort="1" velocity="1"/>
    <mimic joint="wrist" multiplier="-0.5" offset="0.1"/>
  </joint>
  <gazebo reference="base"><anything/></gazebo>
</robot>`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(arm))
	if err != nil {
		t.Fatal(err)
	}
	want := &Model{
		Name: "arm",
		Links: []Link{
			{"base", 5, []Collision{
				{Line: 7, Origin: Origin{[3]float64{0, 0, 0.1}, [3]float64{0, 0, 1.57}}, Shape: Box, Size: [3]float64{0.2, 0.3, 0.4}},
				{Line: 11, Shape: Sphere, Radius: 0.1},
			}, true},
			{"upper", 13, []Collision{{Line: 13, Shape: Cylinder, Radius: 0.05, Length: 0.3}}, false},
			{"hand", 14, []Collision{{Line: 14, Shape: Mesh, Size: [3]float64{0.001, 0.001, 0.001}, File: "package://arm/hand.stl"}}, false},
			{"thumb", 15, nil, false},
		},
		Joints: []Joint{
			{Name: "shoulder", Type: Revolute, Parent: "base", Child: "upper", Line: 16, Origin: Origin{XYZ: [3]float64{0, 0.2, 0.1}}, Axis: [3]float64{0, 1, 0}, Lower: -1.5, Upper: 2, Velocity: 3, Effort: 10},
			{Name: "wrist", Type: Continuous, Parent: "upper", Child: "hand", Line: 20, Axis: [3]float64{1, 0, 0}},
			{
				Name: "grip", Type: Prismatic, Parent: "hand", Child: "thumb", Line: 21, Axis: [3]float64{0, 0, -1}, Upper: 0.04, Velocity: 1, Effort: 1,
				Mimic: &Mimic{"wrist", -0.5, 0.1},
			},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestErrors is named by what is wrong; each replaces a piece of the arm and tells the line.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, old, new, want string
		line                 int
	}{
		{"entity", "<!-- an arm -->", `<!DOCTYPE robot [<!ENTITY a "b">]>`, "document type", 2},
		{"another encoding", "utf-8", "latin1", "expected UTF-8", 1},
		{"an unknown entity", `name="arm"`, `name="&arm;"`, "it is not XML", 3},
		{"macro", `<material name="grey"/>`, `<xacro:include filename="x"/>`, "expand it first", 4},
		{"an open end", "</robot>", "", "it is not XML", 26},
		{"another root", "<robot name=\"arm\">", "<arm>", "it is not XML", 26},
		{"link twice", `<link name="thumb"/>`, `<link name="hand"/>`, `"hand" is there twice, first on line 14`, 15},
		{"joint twice", `name="wrist" type`, `name="shoulder" type`, "is there twice, first on line 16", 20},
		{"link without a name", `<link name="thumb"/>`, `<link/>`, "expected 1 to 128", 15},
		{"floating", `type="continuous"`, `type="floating"`, "more freedom", 20},
		{"unknown parent", `<parent link="upper"/>`, `<parent link="uper"/>`, "does not have", 20},
		{"no child", `<child link="hand"/>`, ``, "no child link", 20},
		{"two parents", `<parent link="upper"/>`, `<parent link="upper"/><parent link="base"/>`, "two of parent", 20},
		{"attribute twice", `name="wrist" type`, `name="wrist" name="x" type`, "twice", 20},
		{"axis of no length", `<axis xyz="0 1 0"/>`, `<axis xyz="0 0 0"/>`, "axis of the length 0", 17},
		{"no limit", `<limit lower="-1.5" upper="2" effort="10" velocity="3"/>`, ``, "has no limit", 16},
		{"limits the wrong way", `lower="-1.5"`, `lower="3"`, "the lower first", 18},
		{"NaN", `lower="-1.5"`, `lower="NaN"`, "expected a number", 18},
		{"infinite", `upper="2"`, `upper="Inf"`, "expected a number", 18},
		{"hexadecimal", `upper="2"`, `upper="0x2"`, "expected a number", 18},
		{"two numbers", `xyz="0 0 0.1"`, `xyz="0 0.1"`, "three numbers", 8},
		{"flat box", `size="0.2 0.3 0.4"`, `size="0.2 0 0.4"`, "above 0", 9},
		{"shape", `<sphere radius="0.1"/>`, `<capsule radius="0.1"/>`, "the shape is capsule", 11},
		{"two shapes", `<sphere radius="0.1"/>`, `<sphere radius="0.1"/><sphere radius="0.1"/>`, "one shape", 11},
		{"no radius", `<sphere radius="0.1"/>`, `<sphere/>`, "no radius", 11},
		{"mesh without a file", `filename="package://arm/hand.stl"`, ``, "no filename", 14},
		{"mimics nobody", `<mimic joint="wrist"`, `<mimic joint="rist"`, "mimics", 21},
		{"mimics itself", `<mimic joint="wrist"`, `<mimic joint="grip"`, "moves by itself", 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(arm, c.old) {
				t.Fatalf("the arm has no %q", c.old)
			}
			m, err := Parse([]byte(strings.Replace(arm, c.old, c.new, 1)))
			var e *Error
			if m != nil || !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.Line != c.line {
				t.Errorf("model %v, error %v, want %q on line %d", m != nil, err, c.want, c.line)
			}
		})
	}
}

func TestCaps(t *testing.T) {
	for name, text := range map[string]string{
		"deep": strings.Repeat("<robot>", MaxDepth+1), "wide": "<robot>" + strings.Repeat("<a/>", MaxElements+1), "large": strings.Repeat(" ", MaxBytes+1),
		"empty": "", "no element": "<!-- -->", "two roots": "<robot/><robot/>", "no link": "<robot/>", "other root": "<sdf/>",
	} {
		if m, err := Parse([]byte(text)); err == nil || m != nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestRealHumanoid reads what a vendor publishes.
func TestRealHumanoid(t *testing.T) {
	data, err := os.ReadFile("../../../../../shared/vectors/urdf/g1_29dof_rev_1_0.urdf")
	if err != nil {
		t.Skip("the vendor's file is not here: ", err)
	}
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	moving, meshes := 0, 0
	for _, j := range m.Joints {
		if j.Type != Fixed {
			moving++
		}
	}
	for _, l := range m.Links {
		for _, c := range l.Collisions {
			if c.Shape == Mesh {
				meshes++
			}
		}
	}
	if moving != 29 || len(m.Joints) != len(m.Links)-1 || meshes == 0 {
		t.Errorf("%d moving joints, %d joints, %d links, %d meshes", moving, len(m.Joints), len(m.Links), meshes)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(arm))
	f.Add([]byte("<robot><link name='a'/></robot>"))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY a "&a;&a;">]><robot name="&a;"/>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			if m != nil || len(err.Error()) > 100_000 {
				t.Fatalf("model %v, error of %d bytes", m, len(err.Error()))
			}
			return
		}
		for _, j := range m.Joints {
			for _, v := range append(append(j.Origin.XYZ[:], j.Origin.RPY[:]...), j.Lower, j.Upper) {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatal(fmt.Sprint(j))
				}
			}
		}
	})
}

package config

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/configs"
	"github.com/robowarden/robowarden/interlock"
)

// TestFallSpec reads the section as the interlock takes it, and none where there is none.
func TestFallSpec(t *testing.T) {
	cfg, err := Load(nil, install(t, configs.Humanoid)+"/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := interlock.FallConfig{
		Used: true, TiltRad: 0.9, Dwell: 300 * time.Millisecond, Up: [3]float64{0, 0, 1}, MaxAge: 300 * time.Millisecond,
		FreeFall: true, FreeFallMPS2: 3, FreeFallFor: 150 * time.Millisecond, Impact: true, ImpactMPS2: 80,
	}
	if got := cfg.Profile.FallSpec(); got != want {
		t.Errorf("got %+v", got)
	}
	if _, err := interlock.NewFallWatch(want); err != nil {
		t.Error(err)
	}
	cfg.Profile.Fall.Up = []float64{0, -1, 0}
	if got := cfg.Profile.FallSpec().Up; got != [3]float64{0, -1, 0} {
		t.Errorf("up is %v", got)
	}
	cfg.Profile.Fall = nil
	if got := cfg.Profile.FallSpec(); got != (interlock.FallConfig{}) {
		t.Errorf("without the section: %+v", got)
	}
}

// TestFallNeedsTheFieldsThatItIsSeenBy takes fields of a vendor's type away from the mapping.
func TestFallNeedsTheFieldsThatItIsSeenBy(t *testing.T) {
	const accel, quaternion, order = "    accel: \"imu_state.accelerometer[*]\"\n", "    quaternion: \"imu_state.quaternion[*]\"\n", "    quaternion_order: wxyz\n"
	for name, x := range map[string]struct {
		without []string
		want    string
	}{
		"all":                {nil, ""},
		"no orientation":     {[]string{quaternion, order}, ""},
		"no acceleration":    {[]string{accel}, "accel among the imu's fields"},
		"the turn rate only": {[]string{accel, quaternion, order}, "accel or quaternion among the imu's fields"},
	} {
		dir := install(t, configs.HumanoidDDS)
		raw, err := os.ReadFile(dir + "/topics.yaml")
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, line := range x.without {
			if !strings.Contains(text, line) {
				t.Fatalf("the example has no %q", line)
			}
			text = strings.Replace(text, line, "", 1)
		}
		write(t, dir+"/topics.yaml", text)
		_, err = Load(nil, dir+"/profile.yaml", dir+"/topics.yaml")
		if (x.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}

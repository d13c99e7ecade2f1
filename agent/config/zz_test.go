package config

import (
	"errors"
	"os"
	"testing"
)

func TestZZ(t *testing.T) {
	c, err := Load(nil, "../../configs/demo/profile.yaml", "../../configs/demo/topics.yaml", "../../configs/demo/policy.yaml")
	var p *Problems
	if errors.As(err, &p) {
		p.Render(os.Stdout, false)
	} else if err != nil {
		t.Fatal(err)
	}
	if c != nil {
		t.Logf("%+v", c.Policy.Shifts)
	}
}

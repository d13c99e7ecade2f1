package machine

import (
	"testing"
)

func TestBoot(t *testing.T) {
	able(t)
	m, err := Boot(t, Config{Parts: made.Parts, Disk: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Facts(t.Context())
	t.Logf("%v %+v %v", m.BootTook(), f, err)
	u, _ := m.qemu.Usage()
	t.Log(u.CPU)
	begun, err := m.Reset()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Booted(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	v, _ := m.qemu.Usage()
	t.Log(m.BootTook(), v.CPU - u.CPU)
}

package steward

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/hal/proc"
)

// devices waits for a fact about recording devices that good accepts.
func (g *guard) devices(c *net.UnixConn, good func(*contract.Devices) bool) contract.Devices {
	g.t.Helper()
	var v contract.Devices
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_ = c.SetDeadline(end)
		f, err := contract.ReadFrame(c, g.buf)
		if err != nil {
			g.t.Fatalf("%v; the last fact was %+v", err, v)
		}
		if f.Type != contract.FrameDevices {
			continue
		}
		v = contract.Devices{}
		if err := f.Into(&v); err != nil {
			g.t.Fatal(err)
		}
		if good(&v) {
			return v
		}
	}
	g.t.Fatalf("no fact as expected; the last was %+v", v)
	return v
}

// TestOpenDevicesAreTold uses this computer's /proc and a device that nobody else has open.
func TestOpenDevicesAreTold(t *testing.T) {
	const camera = "/dev/full"
	g := newGuard(t)
	dir := t.TempDir()
	start(t, Options{Socket: g.path, StateDir: dir})
	c := g.accept()
	// In some virtual machines the first process cannot be looked at by anybody inside; the steward then has to say so.
	complete := proc.Devices(t.Context(), "", nil).Why == proc.ReasonNone
	ours := func(v *contract.Devices) int {
		n := 0
		for _, o := range v.Open {
			if o.PID == os.Getpid() && o.Path == camera {
				n++
			}
		}
		return n
	}
	g.send(c, 0, contract.Peers{Recorders: []string{camera}})
	g.devices(c, func(v *contract.Devices) bool { return v.Complete == complete && ours(v) == 0 })
	f, err := os.Open(camera)
	if err != nil {
		t.Fatal(err)
	}
	v := g.devices(c, func(v *contract.Devices) bool { return ours(v) == 1 })
	if v.LeaseMS < 1000 || v.Total < 1 {
		t.Errorf("told %+v, expected a lease of at least a second", v)
	}
	_ = f.Close()
	g.devices(c, func(v *contract.Devices) bool { return v.Complete == complete && ours(v) == 0 })
	// Off: once nobody has to know, nobody looks, but for what was under way.
	g.send(c, 0, contract.Peers{})
	g.facts(c, func(*contract.Processes) bool { return true })
	g.facts(c, func(*contract.Processes) bool { return true })
	for rounds, told := 0, 0; rounds < 5; {
		f, err := contract.ReadFrame(c, g.buf)
		switch {
		case err != nil:
			t.Fatal(err)
		case f.Type == contract.FrameProcesses:
			rounds++
		case f.Type == contract.FrameDevices && rounds > 0:
			if told++; told > 1 {
				t.Fatal("devices are looked for although nobody has to know")
			}
		}
	}
}

// TestALookTakesATenthOfAProcessor: a computer on which a look costs much is looked at less often, and the fact lives until the
// next look.
func TestALookTakesATenthOfAProcessor(t *testing.T) {
	g := newGuard(t)
	const took = 50 * time.Millisecond
	looks := make(chan struct{}, 100)
	start(t, Options{Socket: g.path, Period: 30 * time.Millisecond, Devices: func(ctx context.Context, _ []string) proc.OpenDevices {
		for began := threadTime(); ctx.Err() == nil && threadTime()-began < took; {
			continue
		}
		looks <- struct{}{}
		return proc.OpenDevices{}
	}})
	c := g.accept()
	began := time.Now()
	g.send(c, 0, contract.Peers{Recorders: []string{"/dev/video*"}})
	for range 3 {
		v := g.devices(c, func(*contract.Devices) bool { return true })
		if time.Duration(v.LeaseMS)*time.Millisecond < 10*took {
			t.Errorf("a lease of %d ms for a look each %v", v.LeaseMS, 10*took)
		}
	}
	if n, most := len(looks), int(time.Since(began)/(10*took))+1; n > most {
		t.Errorf("%d looks of %v in %v, expected at most %d", n, took, time.Since(began), most)
	}
}

// TestALookThatWaitsPutsNothingOff: what others take of the processor meanwhile is not the look's.
func TestALookThatWaitsPutsNothingOff(t *testing.T) {
	g := newGuard(t)
	const waited, looks = 300 * time.Millisecond, 3
	start(t, Options{Socket: g.path, Period: 30 * time.Millisecond, Devices: func(ctx context.Context, _ []string) proc.OpenDevices {
		select {
		case <-ctx.Done():
		case <-time.After(waited):
		}
		return proc.OpenDevices{}
	}})
	c := g.accept()
	began := time.Now()
	g.send(c, 0, contract.Peers{Recorders: []string{"/dev/video*"}})
	for range looks {
		g.devices(c, func(*contract.Devices) bool { return true })
	}
	if took, most := time.Since(began), (looks-1)*(1+deviceShare)*waited; took >= most {
		t.Errorf("%d looks that wait for %v took %v: expected less than the %v of looks that cost it", looks, waited, took, most)
	}
}

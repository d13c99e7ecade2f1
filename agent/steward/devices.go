package steward

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/hal/proc"
)

// deviceWatch is what was said about recording devices in this session.
type deviceWatch struct {
	// said is true once something was said since the guard asked; was is the last of it.
	said bool
	was  contract.Devices
	// due is when the next look may begin: a look at all processes costs, and takes a tenth of one processor at most.
	due time.Duration
}

const (
	// deviceEvery is the least time between two looks: a guard gives a robot a second to become private.
	deviceEvery = 200 * time.Millisecond
	// deviceLook bounds one look; what it has not reached is said to be unknown.
	deviceLook = 2 * time.Second
	// deviceShare leaves nine tenths of a processor to others.
	deviceShare = 9
	// leastDeviceLease lets a fact live until the next look of a busy computer.
	leastDeviceLease = time.Second
)

// costOfLook looks once, and says how much processor time that took. The clock's time would count what others took meanwhile: on a
// busy computer the next look, and the word that a device was closed, would come ten times later still.
func (s *Steward) costOfLook(ctx context.Context, patterns []string) (found proc.OpenDevices, cost time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, deviceLook)
	defer cancel()
	runtime.LockOSThread() // The time is a thread's.
	defer runtime.UnlockOSThread()
	began := threadTime()
	found = s.o.Devices(ctx, patterns)
	return found, threadTime() - began
}

// threadTime is the calling thread's processor time.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // It cannot fail with a clock that every kernel has.
	return time.Duration(ts.Nano())
}

// lookForDevices looks who has one of the devices open and tells the guard, for as long as it names any.
func (s *Steward) lookForDevices(ctx context.Context, conn *contract.Conn, patterns []string, w *deviceWatch) error {
	if len(patterns) == 0 {
		w.said = false
		return nil
	}
	began := s.o.Clock()
	if w.said && began < w.due {
		return nil
	}
	found, cost := s.costOfLook(ctx, patterns)
	w.due = s.o.Clock() + max(deviceEvery, deviceShare*cost)
	out := contract.Devices{
		LeaseMS:  min(max(leases*max(s.o.Period, w.due-began), leastDeviceLease).Milliseconds(), contract.MaxLeaseMS),
		Complete: found.Why == "", Why: string(found.Why), Total: found.Total, Open: make([]contract.OpenDevice, 0, len(found.Open)),
	}
	for _, o := range found.Open {
		out.Open = append(out.Open, contract.OpenDevice{Path: o.Path, PID: o.PID, UID: o.UID, Unit: o.Unit, Exe: o.Exe})
	}
	frame, err := contract.New(0, out)
	if err != nil {
		return fmt.Errorf("recording devices: %w", err)
	}
	if err := conn.Send(frame); err != nil {
		return fmt.Errorf("recording devices not sent: %w", err)
	}
	if !w.said || w.was.Complete != out.Complete || w.was.Why != out.Why || !slices.Equal(w.was.Open, out.Open) {
		s.notes.add(RecordDevices, out)
		s.o.Log.Info().Int("open", out.Total).Bool("complete", out.Complete).Str("why", out.Why).Any("devices", out.Open).Msg("recording devices, since the robot has to be private")
	}
	w.said, w.was = true, out
	return nil
}

package cdr

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr/cdrtest"
)

var driveTypes = []string{bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped}

// isSound tells whether an AckermannDrive's numbers can be meant: wheels that roll, and rates that are numbers.
func isSound(f []float32) bool {
	for _, x := range []float32{f[1], f[3], f[4]} {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return math.Abs(float64(f[0])) <= 1.5
}

// TestDrivesRoundTrip writes drives of any numbers field by field in both byte orders; what nobody can mean arrives as NaN.
func TestDrivesRoundTrip(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	number := rapid.OneOf(rapid.Float32(), rapid.Float32Range(-2, 2), rapid.SampledFrom([]float32{nan, inf, -inf, 1.5, -1.5, 0}))
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(driveTypes).Draw(t, "type")
		wheelbase := rapid.Float64Range(0.1, 10).Draw(t, "wheelbase")
		stamp, frame := drawHeader(t)
		f := rapid.SliceOfN(number, 5, 5).Draw(t, "numbers") // steering angle, its rate, speed, acceleration, jerk
		speed := float64(f[2])
		want := msg.Command{Header: headerOf(0, ""), Channel: 3, Twist: msg.Twist{Linear: msg.Vec3{X: speed}}}
		if want.Angular.Z = speed * math.Tan(float64(f[0])) / wheelbase; !isSound(f) {
			want.Angular.Z = math.NaN()
		}
		if typ == bus.TypeAckermannDriveStamped {
			want.Header = headerOf(stamp, frame)
		}
		var got []any
		d := must(NewAckermann(typ, wheelbase, testPeer, 3, func(m *msg.Command) { got = append(got, *m) }))
		checkDecode(t, d, &got, drawn{func(w *cdrtest.Writer) {
			if typ == bus.TypeAckermannDriveStamped {
				w.Header(stamp, frame)
			}
			w.F32(f...)
		}, []any{want}})
	})
}

// TestDrivesThatAreWrittenAreRead holds the encoder to the decoder, from any place in a buffer.
func TestDrivesThatAreWrittenAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(driveTypes).Draw(t, "type")
		stamp, frame := drawHeader(t)
		wheelbase := rapid.Float64Range(0.1, 10).Draw(t, "wheelbase")
		twist := msg.Twist{Linear: msg.Vec3{X: rapid.Float64Range(-3, 3).Draw(t, "speed")}, Angular: msg.Vec3{Z: rapid.Float64Range(-1, 1).Draw(t, "turning")}}
		if math.Abs(twist.Linear.X) < 0.1*math.Abs(twist.Angular.Z)*wheelbase {
			twist.Linear.X = math.Copysign(0.1*math.Abs(twist.Angular.Z)*wheelbase, twist.Linear.X) // no sharper than 1.47 rad
		}
		before := rapid.Float64Range(-1, 1).Draw(t, "steering before")
		var got []msg.Command
		d := must(NewAckermann(typ, wheelbase, testPeer, 0, func(m *msg.Command) { got = append(got, *m) }))
		lead := rapid.IntRange(0, 9).Draw(t, "lead")
		stamped := typ == bus.TypeAckermannDriveStamped
		b := AppendDrive(make([]byte, lead), stamped, stamp, frame, twist.Linear.X, twist.Steering(wheelbase, before))
		if err := d.Decode(b[lead:], 3, 5); err != nil {
			t.Fatal(err)
		}
		want := headerOf(0, "")
		if stamped {
			want = headerOf(stamp, frame)
		}
		if len(got) != 1 || !cmp.Equal(got[0].Header, want, nanEqual) {
			t.Fatalf("%+v, want the header %+v", got, want)
		}
		// A float32 has 24 bits; tan multiplies the error of an angle by up to 1/cos².
		m, tan := got[0].Twist, twist.Angular.Z*wheelbase/twist.Linear.X
		if twist.Linear.X == 0 {
			tan = 0
		}
		speed := 1e-6 * (math.Abs(twist.Linear.X) + 1e-30)
		turn := 1e-6 * (math.Abs(twist.Angular.Z) + math.Abs(twist.Linear.X)*(1+tan*tan)/wheelbase + 1e-30)
		if math.Abs(m.Linear.X-twist.Linear.X) > speed || math.Abs(m.Angular.Z-twist.Angular.Z) > turn {
			t.Fatalf("sent %+v, arrived %+v", twist, m)
		}
	})
}

// TestDrivesThatNobodyCanMean are passed on as what no gate lets through.
func TestDrivesThatNobodyCanMean(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct {
		f      [5]float32 // steering angle, its rate, speed, acceleration, jerk
		nobody bool
	}{
		"as far as wheels steer":     {f: [5]float32{1.5, 0, 1, 0, 0}},
		"backwards and to the right": {f: [5]float32{-1.5, 1, -1, 2, -3}},
		"across":                     {f: [5]float32{1.55, 0, 1, 0, 0}, nobody: true},
		"across to the right":        {f: [5]float32{-1.55, 0, 1, 0, 0}, nobody: true},
		"round once":                 {f: [5]float32{2 * math.Pi, 0, 1, 0, 0}, nobody: true},
		"across, standing":           {f: [5]float32{3, 0, 0, 0, 0}, nobody: true},
		"steering is no number":      {f: [5]float32{nan, 0, 1, 0, 0}, nobody: true},
		"steering without end":       {f: [5]float32{inf, 0, 1, 0, 0}, nobody: true},
		"rate of steering":           {f: [5]float32{0, nan, 1, 0, 0}, nobody: true},
		"rate of steering, endless":  {f: [5]float32{0, -inf, 1, 0, 0}, nobody: true},
		"speed is no number":         {f: [5]float32{0, 0, nan, 0, 0}, nobody: true},
		"speed without end":          {f: [5]float32{0.5, 0, -inf, 0, 0}, nobody: true},
		"acceleration is no number":  {f: [5]float32{0, 0, 1, nan, 0}, nobody: true},
		"acceleration without end":   {f: [5]float32{0, 0, 1, inf, 0}, nobody: true},
		"jerk is no number":          {f: [5]float32{0, 0, 1, 0, nan}, nobody: true},
		"jerk without end":           {f: [5]float32{0, 0, 1, 0, -inf}, nobody: true},
		"the largest speed there is": {f: [5]float32{1, 0, math.MaxFloat32, 0, 0}},
		"the smallest there is":      {f: [5]float32{1, 0, math.SmallestNonzeroFloat32, 0, 0}},
	} {
		for _, big := range []bool{false, true} {
			var got []msg.Command
			d := must(NewAckermann(bus.TypeAckermannDrive, 0.8, testPeer, 0, func(m *msg.Command) { got = append(got, *m) }))
			if err := d.Decode(cdrtest.New(big).F32(c.f[:]...).Bytes(), 1, 1); err != nil || len(got) != 1 {
				t.Errorf("%s: %v, %d messages", name, err, len(got))
				continue
			}
			v, w := got[0].Linear.X, got[0].Angular.Z
			if nobody := v-v != 0 || w-w != 0; nobody != c.nobody {
				t.Errorf("%s: arrives as %v m/s, %v rad/s", name, v, w)
			}
		}
	}
}

// TestHostileDrives: what is no drive is refused, and delivers nothing.
func TestHostileDrives(t *testing.T) {
	body := func(f func(w *cdrtest.Writer)) []byte {
		w := cdrtest.New(false)
		f(w)
		return w.Bytes()
	}
	five := []float32{0.25, 0, 1, 0, 0}
	for name, c := range map[string]struct {
		typ string
		b   []byte
		err error
	}{
		"nothing":                       {bus.TypeAckermannDrive, nil, ErrShort},
		"an encapsulation":              {bus.TypeAckermannDrive, body(func(*cdrtest.Writer) {}), ErrShort},
		"four numbers":                  {bus.TypeAckermannDrive, body(func(w *cdrtest.Writer) { w.F32(five[:4]...) }), ErrShort},
		"six numbers":                   {bus.TypeAckermannDrive, body(func(w *cdrtest.Writer) { w.F32(five...).F32(1) }), ErrTrailing},
		"numbers of eight bytes":        {bus.TypeAckermannDrive, body(func(w *cdrtest.Writer) { w.F64(0.25, 0, 1, 0, 0) }), ErrTrailing},
		"a Twist":                       {bus.TypeAckermannDrive, AppendTwist(nil, goldenTwist()), ErrTrailing},
		"XCDR2":                         {bus.TypeAckermannDrive, append([]byte{0, 7, 0, 0}, make([]byte, 20)...), ErrEncapsulation},
		"a parameter list":              {bus.TypeAckermannDrive, append([]byte{0, 3, 0, 0}, make([]byte, 20)...), ErrEncapsulation},
		"stamped, where it is not":      {bus.TypeAckermannDrive, AppendDrive(nil, true, 1, "base", 1, 0), ErrTrailing},
		"not stamped, where it is":      {bus.TypeAckermannDriveStamped, AppendDrive(nil, false, 0, "", 1, 0), ErrShort},
		"a second of nanoseconds":       {bus.TypeAckermannDriveStamped, body(func(w *cdrtest.Writer) { w.U32(1, 1e9).Str("base").F32(five...) }), ErrTime},
		"a frame without end":           {bus.TypeAckermannDriveStamped, body(func(w *cdrtest.Writer) { w.U32(1, 1, 1<<32-1).F32(five...) }), ErrShort},
		"a frame longer than the rest":  {bus.TypeAckermannDriveStamped, body(func(w *cdrtest.Writer) { w.U32(1, 1, 25).F32(five...) }), ErrShort},
		"a frame without its zero byte": {bus.TypeAckermannDriveStamped, body(func(w *cdrtest.Writer) { w.U32(1, 1, 4, 0x61616161).F32(five...) }), ErrString},
	} {
		calls := 0
		d := must(NewAckermann(c.typ, 0.8, testPeer, 0, func(*msg.Command) { calls++ }))
		if err := d.Decode(c.b, 1, 1); err != c.err || calls != 0 { //nolint:errorlint // decoders return constants as they are
			t.Errorf("%s: %v and %d messages; expected %v and none", name, err, calls, c.err)
		}
	}
	for _, c := range []struct {
		typ       string
		wheelbase float64
	}{
		{bus.TypeAckermannDrive, 0}, {bus.TypeAckermannDrive, -1}, {bus.TypeAckermannDriveStamped, math.NaN()}, {bus.TypeTwist, 1}, {TypeTwistStamped, 1}, {"", 1},
	} {
		if _, err := NewAckermann(c.typ, c.wheelbase, testPeer, 0, func(*msg.Command) {}); err == nil {
			t.Errorf("%q with a wheelbase of %v m is taken", c.typ, c.wheelbase)
		}
	}
}

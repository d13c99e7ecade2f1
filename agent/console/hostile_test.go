package console

import "math"

// hostileText tries to leave the places that text is put in: markup, script, event stream, attribute.
const hostileText = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'`\r\n\r\nevent: state\ndata: {}\n\n\u2028\u2029\x00 javascript:alert(3)"

// hostileSnapshot has such text and numbers that are none in every field that a robot or a policy could fill.
func hostileSnapshot() *Snapshot {
	scene := sampleScene()
	scene.Site = hostileText
	for i := range scene.Zones {
		scene.Zones[i].ID, scene.Zones[i].Reason = hostileText, hostileText
	}
	scene.Zones[1].Type, scene.Zones[2].Floor = hostileText, hostileText
	scene.Zones[3].Outer = []Point{{Num(math.NaN()), 1}, {Num(math.Inf(1)), 2}, {3, 3}}
	scene.Floors[0].Name = hostileText
	s := sampleStopped(scene)
	s.Robot, s.Mode, s.Summary, s.AdvisoryText = hostileText, hostileText, hostileText, hostileText
	s.Axes.Manipulators, s.Axes.Remote = hostileText, hostileText
	s.SpeedMPS, s.StopDistanceM, s.Axes.LimitMPS = Num(math.Inf(1)), Num(math.Inf(-1)), Num(math.NaN())
	s.Contour[0] = Point{Num(math.NaN()), Num(math.NaN())}
	s.Pose.Yaw = Num(math.NaN())
	for i := range s.Triggers {
		t := &s.Triggers[i]
		t.Code, t.Title, t.Text, t.Clear = hostileText, hostileText, hostileText, hostileText
	}
	for i := range s.Channels {
		s.Channels[i] = Channel{hostileText, hostileText, hostileText, Num(math.NaN())}
	}
	for i := range s.Inputs {
		s.Inputs[i].Name, s.Inputs[i].Health, s.Inputs[i].Text = hostileText, hostileText, hostileText
	}
	for i := range s.Events {
		s.Events[i].Text, s.Events[i].Level = hostileText, hostileText
	}
	s.Policy = Policy{hostileText, math.MaxUint64, hostileText}
	s.ZoneStates[0].State = hostileText
	return s
}

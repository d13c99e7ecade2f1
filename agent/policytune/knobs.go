package policytune

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/interlock"
)

// knob is a threshold that can be turned.
type knob struct {
	name, unit string
	now        float64
	values     []float64
	// more is true where a greater value restricts more.
	more bool
	set  func(v float64) *config.Policy
}

func (k *knob) looser(v float64) bool { return k.more == (v < k.now) }

// knobs are margin, and of the triggers that restricted the robot their delay and dwell, and what a channel may send.
func (t *tuner) knobs() []knob {
	p := t.q.Config.Policy
	widest := 0.0
	for i := range p.Zones {
		widest = max(widest, p.Zones[i].MarginM)
	}
	list := []knob{{
		name: "zones: margin_m, changed by", unit: "m", more: true,
		// No margin can be less than none.
		values: slices.DeleteFunc([]float64{-0.2, -0.1, -0.05, 0, 0.05, 0.1, 0.2, 0.4}, func(v float64) bool { return v < -widest }),
		set: func(v float64) *config.Policy {
			out := clone(p)
			for i := range out.Zones {
				out.Zones[i].MarginM = min(10, max(0, math.Round((out.Zones[i].MarginM+v)*1000)/1000))
			}
			return out
		},
	}}
	var codes []string
	for code, s := range t.restrains {
		if s > 0 {
			codes = append(codes, code)
		}
	}
	slices.SortFunc(codes, func(a, b string) int {
		if t.restrains[a] != t.restrains[b] {
			return int(math.Copysign(1, t.restrains[b]-t.restrains[a]))
		}
		return strings.Compare(a, b)
	})
	rules := p.Interlock()
	for _, code := range codes[:min(len(codes), maxTriggers)] {
		id, ok := interlock.ParseTrigger(code)
		if !ok {
			continue
		}
		rule := &rules.Rules[id]
		list = append(list,
			trigger(p, code, "start_delay", rule.StartDelay, []float64{0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}, func(t *config.Trigger, d time.Duration) { t.StartDelay = &d }),
			trigger(p, code, "dwell", rule.Dwell, []float64{0.1, 0.5, 1, 2, 5, 10}, func(t *config.Trigger, d time.Duration) { t.Dwell = &d }))
	}
	if t.q.Config.Topics != nil {
		for _, c := range t.q.Config.Topics.Commands {
			list = append(list, rate(p, c.Channel))
		}
	}
	return list
}

// withNow puts the policy's own value among those that are tried.
func withNow(values []float64, now float64) []float64 {
	if !slices.Contains(values, now) {
		values = append(values, now)
		slices.Sort(values)
	}
	return values
}

func trigger(p *config.Policy, code, key string, now time.Duration, values []float64, put func(*config.Trigger, time.Duration)) knob {
	return knob{
		name: "triggers: " + code + ": " + key, unit: "s", now: now.Seconds(), values: withNow(values, now.Seconds()), more: key == "dwell",
		set: func(v float64) *config.Policy {
			out := clone(p)
			i := slices.IndexFunc(out.Triggers, func(t config.Trigger) bool { return t.Code == code })
			if i < 0 {
				i = len(out.Triggers)
				out.Triggers = append(out.Triggers, config.Trigger{Code: code})
			}
			put(&out.Triggers[i], time.Duration(v*float64(time.Second)))
			return out
		},
	}
}

func rate(p *config.Policy, channel string) knob {
	const preset = 200
	now := float64(preset)
	if i := slices.IndexFunc(p.CommandChannels, func(c config.CommandChannel) bool { return c.Channel == channel }); i >= 0 && p.CommandChannels[i].MaxHz > 0 {
		now = p.CommandChannels[i].MaxHz
	}
	return knob{
		name: "command_channels: " + channel + ": max_hz", unit: "Hz", now: now, values: withNow([]float64{5, 10, 15, 20, 25, 30, 50, 100, 200}, now),
		set: func(v float64) *config.Policy {
			out := clone(p)
			i := slices.IndexFunc(out.CommandChannels, func(c config.CommandChannel) bool { return c.Channel == channel })
			if i < 0 {
				i = len(out.CommandChannels)
				out.CommandChannels = append(out.CommandChannels, config.CommandChannel{Channel: channel, MaxSkew: time.Second, Dwell: time.Second})
			}
			out.CommandChannels[i].MaxHz = v
			return out
		},
	}
}

package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"time"
)

// Sample is the truth at one moment.
type Sample struct {
	// Boot is CLOCK_BOOTTIME.
	Boot time.Duration
	Truth
}

// Recorder keeps the truth at a fixed period, up to a number of samples, and a digest over all of it.
type Recorder struct {
	// Samples are the first Limit samples.
	Samples []Sample
	// Lost counts samples beyond the limit; they are still in the digest.
	Lost   int
	period time.Duration
	limit  int
	next   time.Duration
	digest hash.Hash
}

// Record starts a time series: one sample each period, at most limit kept. It replaces an earlier one.
func (w *World) Record(period time.Duration, limit int) *Recorder {
	w.record = &Recorder{period: max(period, Tick), limit: limit, next: w.Now() + max(period, Tick), digest: sha256.New()}
	return w.record
}

func (r *Recorder) add(w *World) {
	if w.Now() < r.next {
		return
	}
	r.next += r.period
	s := Sample{Boot: w.Now(), Truth: w.Truth()}
	var b [8]byte
	for _, v := range []float64{s.X, s.Y, s.Yaw, s.ZM, s.SpeedMPS, s.YawRPS, s.Boot.Seconds()} {
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
		r.digest.Write(b[:])
	}
	r.digest.Write([]byte(s.Floor))
	if len(r.Samples) < r.limit {
		r.Samples = append(r.Samples, s)
	} else {
		r.Lost++
	}
}

// Digest is a hash over every sample so far, in hex.
func (r *Recorder) Digest() string { return hex.EncodeToString(r.digest.Sum(nil)) }

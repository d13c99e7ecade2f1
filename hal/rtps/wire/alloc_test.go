package wire

import "testing"

// TestPathIsFree: reading a datagram and appending to one allocate nothing, whatever the datagram holds.
func TestPathIsFree(t *testing.T) {
	var datagrams [][]byte
	for _, d := range recorded(t) {
		datagrams = append(datagrams, d.bytes)
		broken := append([]byte(nil), d.bytes...)
		for i := headerSize + subHeaderSize; i < len(broken); i += 7 {
			broken[i] ^= 0xff
		}
		datagrams = append(datagrams, broken, d.bytes[:len(d.bytes)-3], d.bytes[:10])
	}
	var m Message
	var s Submessage
	faults, sum := 0, SeqNum(0)
	read := func() {
		for _, b := range datagrams {
			if err := m.Reset(b); err != nil {
				faults++
				continue
			}
			for {
				ok, err := m.Next(&s)
				if err != nil {
					faults++
				}
				if !ok {
					break
				}
				for n := range s.Set.All() {
					sum += n
				}
				for n := range s.FragSet.All() {
					sum += SeqNum(n)
				}
			}
		}
	}
	if n := testing.AllocsPerRun(20, read); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
	if faults == 0 || sum == 0 {
		t.Errorf("%d faults, sum %d: nothing was tested", faults, sum)
	}
	buf, payload := make([]byte, 0, MaxDatagram), make([]byte, 700)
	set, frags := SeqSet{Base: 7}, FragSet{Base: 1}
	write := func() {
		set.Add(9)
		frags.Add(200)
		b := AppendHeader(buf[:0], testPrefix)
		b = AppendInfoDst(b, testPrefix)
		b = AppendInfoTS(b, TimeOf(1_700_000_000_000_000_000))
		b = AppendData(b, testReader, testWriter, 8, payload)
		b = AppendDataRelated(b, testReader, testWriter, 8, testGUID, 3, payload)
		b = AppendDispose(b, testReader, testWriter, 9, testGUID, StatusDisposed)
		b = AppendDataFrag(b, testReader, testWriter, 8, 1, 1, 700, 1400, payload)
		b = AppendHeartbeat(b, testReader, testWriter, 1, 8, 1, false, false)
		b = AppendHeartbeatFrag(b, testReader, testWriter, 8, 1, 1)
		b = AppendGap(b, testReader, testWriter, 1, &set)
		b = AppendAckNack(b, testReader, testWriter, &set, 1, true)
		b = AppendNackFrag(b, testReader, testWriter, 8, &frags, 1)
		b = AppendLiveliness(b, testPrefix, LivelinessManual)
		sum += SeqNum(len(b))
	}
	if n := testing.AllocsPerRun(20, write); n != 0 {
		t.Errorf("appending allocates %v times", n)
	}
	w, r := pair()
	if n := testing.AllocsPerRun(20, func() { sum += SeqNum(len(Mismatch(&w, &r))) }); n != 0 {
		t.Errorf("a match allocates %v times", n)
	}
	made := [][]byte{nil}
	if n := testing.AllocsPerRun(20, func() { made[0] = make([]byte, 64) }); n == 0 {
		t.Error("allocations are not counted")
	}
}

// TestDiscoveryIsBounded: however much a datagram claims, reading it takes no more memory than the caps allow.
func TestDiscoveryIsBounded(t *testing.T) {
	const most = 200 // allocations: 16 partitions, a handful of names, growing lists, an error
	for _, d := range recorded(t) {
		var m Message
		var s Submessage
		if err := m.Reset(d.bytes); err != nil {
			t.Fatal(err)
		}
		for ok, err := m.Next(&s); ok && err == nil; ok, err = m.Next(&s) {
			n := testing.AllocsPerRun(1, func() {
				_ = ParseEndpoint(s.Payload, true, &EndpointData{})
				_ = ParseParticipant(s.Payload, &ParticipantData{})
				_, _ = KeyGUID(s.Payload)
			})
			if n > most {
				t.Errorf("%s: %v allocations", d.name, n)
			}
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	datagram := AppendHeader(nil, testPrefix)
	datagram = AppendInfoDst(datagram, testPrefix)
	datagram = AppendInfoTS(datagram, TimeOf(1_700_000_000_000_000_000))
	datagram = AppendData(datagram, testReader, testWriter, 8, make([]byte, 724))
	datagram = AppendHeartbeat(datagram, testReader, testWriter, 1, 8, 1, false, false)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := walk(datagram); n != 2 || err != nil {
			b.Fatal(n, err)
		}
	}
}

//go:build device

package can

import (
	"os"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
)

// TestInterface runs on a real interface, such as vcan0, that is up: the kernel's own way back of a frame.
func TestInterface(t *testing.T) {
	name := os.Getenv("ROBOWARDEN_CAN")
	if name == "" {
		t.Skip("ROBOWARDEN_CAN names no interface")
	}
	f := New(Config{Interface: name, ID: stopID, Stop: []byte{0}, Run: []byte{1}})
	other, err := openBus(name, []uint32{stopID, answerID})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i, s := range []actuator.State{actuator.Stop, actuator.Run, actuator.Stop} {
		if err := apply(f, s); err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		got, own, err := other.receive(time.Now().Add(time.Second))
		if err != nil || own || got.id != stopID || got.n != 1 || got.data[0] != byte(i%2) {
			t.Errorf("the other node heard %+v, own %t, %v", got, own, err)
		}
	}
	c := Config{Interface: name, ID: stopID, Stop: []byte{0}, Run: []byte{1}, AnswerID: answerID, HasAnswer: true, AnswerStop: []byte{0}}
	if got := actuator.FaultOf(apply(New(c), actuator.Stop)); got != actuator.Silent {
		t.Errorf("without an answer: found %v, expected silence", got)
	}
	c.Interface = "nosuchcan0"
	if got := actuator.FaultOf(apply(New(c), actuator.Stop)); got != actuator.Gone {
		t.Errorf("no such interface: found %v, expected gone", got)
	}
}

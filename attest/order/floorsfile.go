package order

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	floorsHeader = "robowarden-floors 1"
	// maxFloorsFile is larger than any record: 5 floors, MaxUsed ids and MaxStops stops.
	maxFloorsFile = 256 << 10
)

// Marshal writes the record with its generation: lines of text, sorted, the last one a SHA-256 over the others.
// FORMAT.md describes them.
func (f *Floors) Marshal(generation uint64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\ngeneration %d\n", floorsHeader, generation)
	if !f.forgotten.IsZero() {
		fmt.Fprintf(&b, "forgotten %s\n", stamp(f.forgotten))
	}
	for _, k := range slices.Sorted(maps.Keys(f.floors)) {
		fmt.Fprintf(&b, "floor %s %d %x\n", k.stream(), f.floors[k].Sequence, f.floors[k].Digest)
	}
	for _, id := range slices.Sorted(maps.Keys(f.used)) {
		fmt.Fprintf(&b, "used %s %s\n", id, stamp(f.used[id]))
	}
	for _, id := range f.stops { // In the order in which they came: the oldest is forgotten first.
		fmt.Fprintf(&b, "stop %s\n", id)
	}
	fmt.Fprintf(&b, "end %s\n", Digest(b.Bytes()))
	return b.Bytes()
}

// UnmarshalFloors reads what [Floors.Marshal] wrote, byte for byte.
func UnmarshalFloors(data []byte) (f *Floors, generation uint64, err error) {
	if len(data) > maxFloorsFile {
		return nil, 0, fmt.Errorf("the record has %d bytes: at most %d are read", len(data), maxFloorsFile)
	}
	end := bytes.LastIndex(data, []byte("\nend ")) + 1
	if end == 0 || string(data[end:]) != "end "+Digest(data[:end])+"\n" {
		return nil, 0, errors.New("the record's checksum does not fit: it is torn or was changed")
	}
	lines := strings.Split(string(data[:end-1]), "\n")
	if len(lines) < 2 || lines[0] != floorsHeader {
		return nil, 0, fmt.Errorf("the record begins with %q: expected %q", clip(lines[0]), floorsHeader)
	}
	number, _ := strings.CutPrefix(lines[1], "generation ")
	if generation, err = strconv.ParseUint(number, 10, 64); err != nil {
		return nil, 0, errors.New("line 2: expected the generation")
	}
	f = NewFloors()
	for i, line := range lines[2:] {
		if err := f.readLine(strings.Split(line, " ")); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", i+3, err)
		}
	}
	if len(f.used) > MaxUsed || len(f.stops) > MaxStops {
		return nil, 0, errors.New("the record holds more ids than it may")
	}
	if !bytes.Equal(f.Marshal(generation), data) {
		return nil, 0, errors.New("the record is not in its one form")
	}
	return f, generation, nil
}

func (f *Floors) readLine(words []string) error {
	switch {
	case words[0] == "floor" && len(words) == 4:
		return f.readFloor(words)
	case words[0] == "used" && len(words) == 3 && isHex(words[1], 32, 32):
		until, err := time.Parse(timeForm, words[2])
		f.used[words[1]] = until
		return err
	case words[0] == "stop" && len(words) == 2 && isHex(words[1], 32, 32):
		f.stops = append(f.stops, words[1])
		return nil
	case words[0] == "forgotten" && len(words) == 2:
		var err error
		f.forgotten, err = time.Parse(timeForm, words[1])
		return err
	}
	return fmt.Errorf("found %q: expected floor, used, stop or forgotten", clip(strings.Join(words, " ")))
}

func (f *Floors) readFloor(words []string) error {
	name, _, _ := strings.Cut(words[1], "/")
	kind := Kind(name)
	if !kind.Sequenced() || kind.stream() != words[1] {
		return fmt.Errorf("found the sequence %q: expected one of a kind that counts", clip(words[1]))
	}
	sequence, err := strconv.ParseUint(words[2], 10, 64)
	if err != nil || sequence == 0 || sequence > MaxSequence || !isHex(words[3], 64, 64) {
		return errors.New("expected a sequence and a SHA-256")
	}
	floor := Floor{Sequence: sequence}
	if _, err := hex.Decode(floor.Digest[:], []byte(words[3])); err != nil {
		return err
	}
	f.floors[kind] = floor
	return nil
}

package slots

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Counter keeps floors where whoever sets back the disk does not reach them, in a TPM. It never goes down.
type Counter interface {
	// Floor returns an artifact's floor, and false where none was ever raised. An error that is [ErrSilent] may go away; any
	// other one says that somebody changed the counter.
	Floor(artifact string) (floor uint64, there bool, err error)
	// Raise raises it to at least a value. Cut off, it leaves a floor between the old and the new one; with [ErrHeight] the old one.
	Raise(artifact string, to uint64) error
}

// ErrSilent says that the counter cannot be asked now.
var ErrSilent = errors.New("the counter of floors does not answer")

// ErrHeight says that a counter does not count to a floor, and never will: the file keeps it alone.
var ErrHeight = errors.New("the floor is too high for the counter")

// ErrFloor says that nobody can tell the floor: the file or the counter is not as it was left. Nothing becomes active then.
var ErrFloor = errors.New("the floor is in doubt")

// FloorIn says what keeps a floor.
type FloorIn string

// Who keeps a floor. Software is a file: whoever sets the disk back sets it back as well.
const (
	InSoftware FloorIn = "software"
	InCounter  FloorIn = "tpm-counter"
)

// With has the store keep its floor in a counter too; nil leaves it in a file, which is [InSoftware]. A floor that was kept in a
// counter once is not believed without it.
func (s *Store) With(c Counter) *Store {
	s.counter = c
	return s
}

// Counted says whether the floor's file says that a counter has it too.
func (s *Store) Counted() bool {
	f, err := s.readFloor()
	return err == nil && f.counted
}

// floors is what is known about the stored floor.
type floors struct {
	// svn is the least security version that may become active.
	svn uint64
	// file is what the file says, counted whether a counter has to say it too.
	file    uint64
	counted bool
	// there is true if the counter says one, counter is what it says.
	there   bool
	counter uint64
}

func (f *floors) in() FloorIn {
	if f.there && f.counter >= f.file {
		return InCounter
	}
	return InSoftware
}

// counted is the word in the floor's file that a counter has it too.
const countedWord = "counter"

// readFloor reads the floor's file.
func (s *Store) readFloor() (f floors, err error) {
	raw, err := s.readSmall(floorName, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		raw, err = unsealed(raw)
	}
	if err == nil {
		number, word, more := strings.Cut(strings.TrimSpace(string(raw)), "\n")
		if f.counted = more; more && word != countedWord {
			err = fmt.Errorf("expected nothing or %q behind the number, found %q", countedWord, word)
		} else {
			f.file, err = strconv.ParseUint(number, 10, 64)
		}
	}
	if err != nil {
		return f, fmt.Errorf("%w: floor: %w; install nothing and ask who changed it", ErrFloor, err)
	}
	f.svn = f.file
	return f, nil
}

// floor is the stored floor: the higher one of file and counter. A counter that is gone, was made anew or is behind the file is an
// error, and so is a floor that is damaged or that only a counter can say which nobody can ask.
func (s *Store) floor() (floors, error) {
	f, err := s.readFloor()
	if err != nil {
		return f, err
	}
	if s.counter == nil {
		if f.counted {
			err = fmt.Errorf("%w: the TPM's counter keeps it, and nobody said where the TPM is: name it (deployment: steward.tpm; commands: --tpm)", ErrFloor)
		}
		return f, err
	}
	f.counter, f.there, err = s.counter.Floor(s.name)
	switch {
	case err != nil:
		f.there = false
		err = fmt.Errorf("%w: %w", ErrFloor, err)
	case f.counted && !f.there:
		err = fmt.Errorf("%w: the TPM's counter is gone, and the file says %d: the TPM was cleared, or is another one", ErrFloor, f.file)
	case f.counted && f.counter < f.file:
		err = fmt.Errorf("%w: the TPM's counter stands at %d, behind the %d of the file: it was made anew, or is that of another TPM", ErrFloor, f.counter, f.file)
	default:
		f.svn = max(f.file, f.counter)
	}
	return f, err
}

// demanded is the highest floor of what has proven itself: nothing below it becomes active, whether it is stored yet or not. The
// records say it, and the file where a record that said it was replaced.
func (s *Store) demanded() (svn uint64, err error) {
	svn, err = s.readDemand()
	for _, slot := range slotNames {
		if r := s.record(slot); r != nil && r.Good {
			svn = max(svn, r.Floor)
		}
	}
	return svn, err
}

// readDemand reads what records demanded that are gone, 0 without any.
func (s *Store) readDemand() (svn uint64, err error) {
	raw, err := s.readSmall(demandName, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil {
		raw, err = unsealed(raw)
	}
	if err == nil {
		svn, err = strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: demand: %w; install nothing and ask who changed it", ErrFloor, err)
	}
	return svn, nil
}

// hold writes down what the records demand, before one of them goes: what has proven itself binds its successors, proven or not.
func (s *Store) hold() error {
	to, err := s.demanded()
	if err != nil {
		return err
	}
	if was, err := s.readDemand(); err != nil || was == to {
		return err
	}
	return s.replace(demandName, sealed(fmt.Appendf(nil, "%d\n", to)))
}

// least is the least security version that may become active.
func (s *Store) least() (uint64, error) {
	f, err := s.floor()
	demanded, derr := s.demanded()
	return max(f.svn, demanded), errors.Join(err, derr)
}

// Settle raises the stored floor to what the releases demand that have proven themselves, and no higher than what every slot
// that holds something meets: a floor above the way back would leave a robot whose active content is lost with nothing that may
// run. It is called again after every commit and may be cut off anywhere; until then records and file say what is
// demanded.
func (s *Store) Settle() error {
	f, err := s.floor()
	if err != nil {
		return fmt.Errorf("artifact %s: %w", s.name, err)
	}
	to, err := s.demanded()
	if err != nil {
		return fmt.Errorf("artifact %s: %w", s.name, err)
	}
	for _, slot := range slotNames {
		if r := s.record(slot); r != nil {
			to = min(to, r.SVN)
		}
	}
	// What is stored stays; with a counter, it is brought there.
	if err := s.store(&f, max(to, f.svn)); err != nil {
		return fmt.Errorf("artifact %s: floor: %w", s.name, err)
	}
	return nil
}

// store writes a floor: first to the counter, so that a file that is above a marked counter is always a sign that somebody
// meddled, and never that the power went. A floor that is too high for the counter is in the file alone, and the error says so; a
// file that is marked stays then, and the records and what [Store.hold] wrote go on saying what is demanded.
func (s *Store) store(f *floors, to uint64) error {
	if to == 0 {
		return nil // There is nothing to keep.
	}
	text := fmt.Sprintf("%d\n", to)
	counted := s.counter != nil
	var high error
	if counted && (!f.there || f.counter < to) {
		if err := s.counter.Raise(s.name, to); errors.Is(err, ErrHeight) && !f.counted {
			counted, high = false, err
		} else if err != nil {
			return err
		}
	}
	if counted {
		text += countedWord + "\n"
	}
	if to == f.file && counted == f.counted {
		return high
	}
	return errors.Join(high, s.replace(floorName, sealed([]byte(text))))
}

// Stands says why the active content must not run as far as the floor is concerned, or nil. An error that is [ErrSilent] says
// that nobody can tell now.
func (s *Store) Stands() error {
	f, err := s.floor()
	if err != nil {
		return err
	}
	if r := s.record(s.Active()); r != nil && r.SVN < f.svn {
		return fmt.Errorf("the active content has svn %d, below the floor %d: was an older disk put in place? install a release that is not below it", r.SVN, f.svn)
	}
	return nil
}

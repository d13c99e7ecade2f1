package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

func TestJournalState(t *testing.T) {
	path := func(err error) error {
		return fmt.Errorf("journal: %w", &fs.PathError{Op: "write", Path: "x", Err: err})
	}
	for _, tc := range []struct {
		name string
		h    journal.Health
		lost uint64
		want guard.JournalState
	}{
		{"writes", journal.Health{Writable: true}, 0, guard.JournalOK},
		{"lost some long ago", journal.Health{Writable: true, Lost: 7}, 7, guard.JournalOK},
		{"writes, and loses", journal.Health{Writable: true, Lost: 8}, 7, guard.JournalOverflows},
		{"full", journal.Health{Err: path(syscall.ENOSPC)}, 0, guard.JournalFull},
		{"full, and loses", journal.Health{Err: path(syscall.ENOSPC), Lost: 3}, 0, guard.JournalFull},
		{"its share is full", journal.Health{Err: path(syscall.EDQUOT)}, 0, guard.JournalFull},
		{"read-only", journal.Health{Err: path(syscall.EROFS)}, 0, guard.JournalReadOnly},
		{"fails", journal.Health{Err: path(syscall.EIO)}, 0, guard.JournalFailing},
		{"something else", journal.Health{Err: errors.New("closed")}, 0, guard.JournalFailing},
		{"fails, nobody says why", journal.Health{}, 0, guard.JournalFailing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := journalState(&tc.h, tc.lost); got != tc.want {
				t.Errorf("got %d, expected %d", got, tc.want)
			}
		})
	}
}

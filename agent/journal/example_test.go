package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/robowarden/robowarden/agent/journal"
)

// A log is opened, run in the background, appended to from anywhere, and
// closed in order. Anybody may read and check it, also at the same time.
func Example() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bootID := [16]byte{1} // from /proc/sys/kernel/random/boot_id
	boot := func() time.Duration { return 42 * time.Second }

	l, err := journal.Open(dir, journal.DefaultOptions(bootID, boot))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	l.Append(1, boot(), []byte("robot enters ward 3"), false)
	l.Append(2, boot(), []byte("stop"), true)
	if err := errors.Join(l.Close(ctx), <-done); err != nil {
		fmt.Println(err)
		return
	}
	seq, digest := l.Head()

	r, err := journal.OpenDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	words := func(_ journal.Kind, payload []byte) (name, text string, err error) {
		return "note", string(payload), nil
	}
	for rec, err := range r.All() {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(string(journal.AppendLine(nil, &rec, words)))
	}
	report, err := journal.Verify(dir, journal.Checkpoint{Seq: seq, Digest: digest})
	fmt.Println(report.Records, report.OK(), err)
	// Output:
	// 1 01000000 42.000000s note robot enters ward 3
	// 2 01000000 42.000000s! note stop
	// 3 01000000 42.000000s! close closed in order, 0 records lost in the session
	// 3 true <nil>
}

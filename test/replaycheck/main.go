// Command replaycheck replays a journal and prints the final digest; the tests run it on amd64 and, under an emulator, on
// arm64, where it must print the same. It exits with 1 if any outcome differs from the recorded one.
package main

import (
	"fmt"
	"os"

	"github.com/robowarden/robowarden/agent/replay"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: replaycheck JOURNAL DOCUMENTS")
		os.Exit(2)
	}
	r, err := replay.Dir(os.Args[1], replay.Documents(os.Args[2]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d events, %d snapshots, %d skipped, digest %016x\n", r.Events, r.Snapshots, r.Skipped, r.Digest)
	for _, m := range r.Mismatches {
		fmt.Printf("record %d at %v: %s\n", m.Seq, m.Boot, m.What)
	}
	if !r.OK() {
		os.Exit(1)
	}
}

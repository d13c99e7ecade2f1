package service

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// part is one mapping as /proc/PID/smaps shows it.
func part(head, anonymous string) string {
	return head + "\nSize:               1234 kB\nRss:                1000 kB\nAnonymous:          " + anonymous +
		" kB\nAnonHugePages:         0 kB\nVmFlags: rd ex mr mw me\n"
}

func TestOnlyUntouchedPagesOfTheProgramAreGivenBack(t *testing.T) {
	const self = "/usr/bin/robowarden"
	good := part("00400000-009c4000 r-xp 00000000 fe:00 17                           "+self, "0")
	for name, c := range map[string]struct {
		text string
		want []span
	}{
		"code":                            {good, []span{{0x400000, 0x9c4000}}},
		"constants":                       {part("009c4000-00fdb000 r--p 005c4000 fe:00 17                           "+self, "0"), []span{{0x9c4000, 0xfdb000}}},
		"data that may be written":        {part("00fdb000-010a4000 rw-p 00bda000 fe:00 17                           "+self, "0"), nil},
		"constants that a loader wrote":   {part("009c4000-00fdb000 r--p 005c4000 fe:00 17                           "+self, "4"), nil},
		"code with a debugger's break":    {part("00400000-009c4000 r-xp 00000000 fe:00 17                           "+self, "4"), nil},
		"code that others may change":     {part("00400000-009c4000 r-xs 00000000 fe:00 17                           "+self, "0"), nil},
		"another file":                    {part("00400000-009c4000 r-xp 00000000 fe:00 17                           "+self+"-old", "0"), nil},
		"a file that was replaced":        {part("00400000-009c4000 r-xp 00000000 fe:00 17                           "+self+" (deleted)", "0"), nil},
		"no file":                         {part("7f0000000000-7f0000100000 r-xp 00000000 00:00 0", "0"), nil},
		"the next mapping's line is read": {part("7f0000000000-7f0000100000 rw-p 00000000 00:00 0", "8") + good, []span{{0x400000, 0x9c4000}}},
		"nothing":                         {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pristine(bufio.NewScanner(strings.NewReader(c.text)), self)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(span{})); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := pristine(bufio.NewScanner(strings.NewReader("zz-00 r-xp 0 0 0 "+self+"\n")), self); err == nil {
		t.Error("a range that is no range was taken")
	}
}

// resident is how much of this program's code and constants this process has in memory, in KiB.
func resident(t *testing.T) (kib int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	for _, c := range strings.TrimSpace(rest) {
		if c < '0' || c > '9' {
			break
		}
		kib = 10*kib + int(c-'0')
	}
	return kib
}

func TestStartIsGivenBack(t *testing.T) {
	program, err := mappings()
	if err != nil {
		t.Fatal(err)
	}
	if len(program) < 2 {
		t.Fatalf("mappings of the program: %x, expected code and constants", program)
	}
	before := resident(t)
	if err := settle(0, program); err != nil {
		t.Fatal(err)
	}
	if after := resident(t); after >= before {
		t.Errorf("%d KiB of the program resident, %d KiB after the start was given back: expected less", before, after)
	}
	if err := settle(0, []span{{0x1000, 0x2000}}); err == nil {
		t.Error("off: pages that are not there were given back")
	}
}

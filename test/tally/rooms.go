package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// room is a part of the long tests that has a report of its own: the whole takes hours, and what one room has shown stays
// shown when the machine is needed for something else before the next.
type room struct {
	name string
	run  []module
	fuzz []module // packages whose fuzz targets are run, with one budget
}

// Names of the rooms that are no package of the test module.
const (
	roomProduct = "product"
	roomAttacks = "attacks"
	roomEnds    = "attacks-ends"
	roomDay     = "day"
	roomClean   = "clean"
	roomReload  = "reload"
	roomNear    = "approaches"
	roomDDS     = "e2e-dds"
	roomFuzz    = "fuzz-" // with the folder
)

// attacks is the test that fills roomAttacks: a hundred of each attack take longer than all the rest of its package.
const attacks = "^TestAttacks$"

// ends are the attacks by which somebody's session, process or master ends, or a robot begins anew: each of their runs takes three
// times as long as another one's, so together they are a room of their own, of half an hour, and roomAttacks has the others.
const ends = attacks + "/^on$/(planner_killed|master_killed|after_a_reboot|past_its_grant)"

// onROS and onDDS are what the rooms e2e and e2e-dds leave to each other: the runs of a scenario on the other's buses, and
// tests that know one kind of bus alone. So the scenarios with both vendors' peers are one command, and half an hour.
const (
	onROS = "/^ros( |$)|/./^ros$|^(TestHostilePeers|TestExampleDesks|TestRosbagAgreesWithJournal|TestLatencyUnderMaliciousCourier|" +
		"TestBagScoreCanFail|TestLargeModelInLittleMemory|TestJournalsJudgeFindsWhatIsLooser)$"
	onDDS = "/^(cyclone|fast)|/./^(cyclone|fast)$|^(TestHostilePeersOnDDS|TestGoalsOfNavigateToPose|TestMCAPAgreesWithJournal|" +
		"TestKilledDeskHoldsThenStops|TestBrokerDown|TestRollout)$"
)

// day is the test that fills roomDay: a robot's day with random troubles, beside what it needs to be believed.
const day = "^(TestADay|TestADayIsJudged|TestWalkerKneelsInTime)$"

// clean are the tests that fill roomClean: a thousand hours of deliveries with nothing wrong, and what their count needs to be believed.
const clean = "^(TestCleanDelivery|TestDeliveryWithAFaultIsCounted|TestDeliveriesWithoutTheGuard)$"

// reload are the tests that fill roomReload: a thousand reloads while poses come a thousand times a second, which need the
// processors for themselves.
const reload = "^(TestReloadsUnderPoses|TestATornDecisionIsFound)$"

// near are the tests that fill roomNear: ten thousand approaches to a zone, and what shows that one could enter.
const near = "^(TestApproaches|TestWithoutAGuardApproachesEnter)$"

// rooms lists the product's own tests, each package of the test module that has tests, and the folders with fuzz targets.
func rooms() ([]room, error) {
	cmd := exec.Command("go", "list", "-tags=qualify", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list of the test module's packages: %w", err)
	}
	list := []room{{name: roomProduct, run: []module{{dir: "..", args: []string{"-cover", "-p=2", "-tags=qualify", "-timeout=150m", "./..."}}}}}
	for pkg := range strings.FieldsSeq(string(out)) {
		name := strings.ReplaceAll(pkg[strings.Index(pkg, "/test/")+len("/test/"):], "/", "-")
		// Most of an approach is waiting for a robot to drive, so more of them fit than there are cores.
		args := []string{"-tags=qualify", "-timeout=150m", "-parallel=4"}
		var apart []string
		for _, own := range []struct{ pkg, room, tests, timeout, parallel, skip string }{
			// Forty minutes on two idle processors; a robot that is attacked waits for most of its time.
			{"e2e", roomAttacks, attacks, "-timeout=100m", "-parallel=8", ends},
			{"e2e", roomEnds, ends, "-timeout=100m", "-parallel=6", "^$"},
			{"simulate", roomDay, day, "-timeout=10h", "-parallel=4", "^$"},
			{"simulate", roomClean, clean, "-timeout=10h", "-parallel=4", "^$"},
			{"simulate", roomReload, reload, "-timeout=10h", "-parallel=4", "^$"},
			{"simulate", roomNear, near, "-timeout=10h", "-parallel=4", "^$"},
		} {
			if name == own.pkg {
				only := []string{"-tags=qualify", own.timeout, own.parallel, "-run=" + own.tests, "-skip=" + own.skip, pkg}
				list = append(list, room{name: own.room, run: []module{{dir: ".", args: only}}})
				if own.room != roomEnds {
					apart = append(apart, own.tests)
				}
			}
		}
		if name == "e2e" {
			list = append(list, room{name: roomDDS, run: []module{{dir: ".", args: []string{"-tags=qualify", "-timeout=150m", "-parallel=6", "-skip=" + attacks + "|" + onROS, pkg}}}})
			apart = append(apart, onDDS)
		}
		if len(apart) > 0 {
			args = append(args, "-skip="+strings.Join(apart, "|"))
		}
		list = append(list, room{name: name, run: []module{{dir: ".", args: append(args, pkg)}}})
	}
	for _, m := range []struct{ dir, prefix string }{{"..", ""}, {".", "test-"}} {
		more, err := fuzzRooms(m.dir, m.prefix)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// pick returns the rooms that are asked for, all without names.
func pick(all []room, names string) ([]room, error) {
	if names == "" {
		return all, nil
	}
	var out []room
	for n := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(r room) bool { return r.name == n })
		if i < 0 {
			var known []string
			for _, r := range all {
				known = append(known, r.name)
			}
			return nil, fmt.Errorf("room %q: expected one of %s", n, strings.Join(known, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// qualify runs rooms one after the other and writes each one's report as soon as it has ended.
func (t *tally) qualify(names, dir string) {
	setTier("qualify")
	all, err := rooms()
	if err == nil {
		all, err = pick(all, names)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		t.failed++
		return
	}
	for _, r := range all {
		one := newTally()
		one.requireAll = t.requireAll
		start := time.Now()
		for _, m := range r.run {
			one.try(m)
		}
		for _, m := range r.fuzz {
			one.fuzz(m)
		}
		if dir != "" {
			if err := one.write(dir, r.name, time.Since(start)); err != nil {
				fmt.Fprintln(os.Stderr, "tally:", err)
				one.failed++
			}
		}
		t.passed, t.failed, t.skipped = t.passed+one.passed, t.failed+one.failed, t.skipped+one.skipped
		t.slow = append(t.slow, one.slow...)
	}
}

// Command mutate asks whether a package's tests would notice a mistake in it: it changes one small thing at a time (a
// comparison, an operator, a number, a statement) and runs the tests; it never writes into the package's folder.
//
//	go run ./mutate -pkg ../geofence -n 60 -seed 1
//	go run ./mutate -pkg ../interlock -kind guards -n 0 -bar 100
//
// The mutants are drawn by the seed among all that the package's files allow. One that does not compile is no mutant and
// is drawn again. Those listed in equivalent.txt, each with its reason, change nothing that anybody could see; they are
// counted apart. The command fails if fewer than -bar per cent of the others are killed.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed equivalent.txt
var lists embed.FS

// options are the command line's.
type options struct {
	pkg     string
	n       int
	seed    uint64
	jobs    int
	bar     float64
	timeout time.Duration
	only    string
	kind    string
	list    bool
	args    []string
}

func main() {
	var o options
	flag.StringVar(&o.pkg, "pkg", "../geofence", "the package's folder")
	flag.IntVar(&o.n, "n", 60, "how many mutants; 0 for all")
	flag.Uint64Var(&o.seed, "seed", 1, "draws the mutants")
	flag.IntVar(&o.jobs, "j", 1, "how many to try at a time")
	flag.Float64Var(&o.bar, "bar", 90, "per cent of the mutants that must be killed")
	flag.DurationVar(&o.timeout, "timeout", 3*time.Minute, "a mutant whose tests take more of the processors' time is killed")
	flag.StringVar(&o.only, "only", "", "only mutants whose line in the report contains this, or one of several with | between: a file, a function, one mutant")
	flag.StringVar(&o.kind, "kind", kindAny, "what to change: any, guards (guard clauses left out), clauses (every if and case left out)")
	flag.BoolVar(&o.list, "list", false, "list the drawn mutants and try none")
	flag.Parse()
	o.args = flag.Args() // for the tests: -rapid.checks=30
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

// run draws, tries and counts.
func run(ctx context.Context, o options, out io.Writer) error {
	if o.kind != kindAny && o.kind != kindGuards && o.kind != kindClauses {
		return fmt.Errorf("kind %q: expected %s, %s or %s", o.kind, kindAny, kindGuards, kindClauses)
	}
	all, err := mutants(o.pkg, o.kind)
	if err != nil {
		return err
	}
	if o.only != "" {
		all = keep(all, func(m mutant) bool {
			return slices.ContainsFunc(strings.Split(o.only, "|"), func(part string) bool { return strings.Contains(m.String(), part) })
		})
	}
	if len(all) == 0 {
		return fmt.Errorf("no mutant of %s contains %q; -list shows what there is", o.pkg, o.only)
	}
	text, err := lists.ReadFile("equivalent.txt")
	if err != nil {
		return err
	}
	known, err := equivalents(string(text))
	if err != nil {
		return err
	}
	if o.n == 0 {
		o.n = len(all)
	}
	rng := rand.New(rand.NewPCG(o.seed, uint64(len(all))))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	fmt.Fprintf(out, "%d possible mutants of %s, kind %s, seed %d\n", len(all), o.pkg, o.kind, o.seed)
	if o.list {
		for _, m := range all[:min(o.n, len(all))] {
			fmt.Fprintln(out, m)
		}
		return nil
	}
	tryOne := func(ctx context.Context, m mutant) (fate, string, error) { return attempt(ctx, m, o.timeout, o.args) }
	// Tests that fail by themselves would kill everything.
	same := all[0]
	same.to, same.text, same.what = same.from, "", "no change"
	if o.kind != kindAny {
		b, err := assemble(ctx, o.pkg, all, o.timeout, o.args)
		if b != nil {
			defer func() { _ = os.RemoveAll(b.dir) }()
		}
		if err != nil {
			return err
		}
		b.number[same.place()], tryOne = -1, b.one
	}
	if how, detail, err := tryOne(ctx, same); err != nil || how != survived {
		return errors.Join(fmt.Errorf("the tests of %s fail without any change (%s); mend them first", o.pkg, detail), err)
	}
	t := try{options: o, known: known, left: all, out: out, one: tryOne}
	var wg sync.WaitGroup
	for range max(o.jobs, 1) {
		wg.Go(func() { t.work(ctx) })
	}
	wg.Wait()
	if t.err != nil {
		return t.err
	}
	return t.verdict()
}

// try is a run over the drawn mutants.
type try struct {
	options
	known map[string]string
	out   io.Writer
	one   func(ctx context.Context, m mutant) (fate, string, error)

	mu                          sync.Mutex
	left                        []mutant
	begun                       int
	killed, survived, same, bad int
	err                         error
}

// next takes a mutant, unless there are enough.
func (t *try) next(ctx context.Context) (mutant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil || ctx.Err() != nil || t.begun == t.n || len(t.left) == 0 {
		if t.err == nil {
			t.err = ctx.Err()
		}
		return mutant{}, false
	}
	m := t.left[0]
	t.left = t.left[1:]
	t.begun++
	return m, true
}

func (t *try) work(ctx context.Context) {
	for {
		m, ok := t.next(ctx)
		if !ok {
			return
		}
		if why, ok := t.known[m.id()]; ok {
			t.count(&t.same, "equivalent", m, why)
			continue
		}
		switch how, detail, err := t.one(ctx, m); {
		case err != nil:
			t.mu.Lock()
			t.err = err
			t.mu.Unlock()
			return
		case how == stillborn:
			t.mu.Lock()
			t.bad++
			t.begun--
			t.mu.Unlock()
		case how == killed:
			t.count(&t.killed, "killed", m, detail)
		default:
			t.count(&t.survived, "SURVIVED", m, "")
		}
	}
}

func (t *try) count(n *int, word string, m mutant, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n++
	fmt.Fprintf(t.out, "%-10s %s", word, m)
	if detail != "" {
		fmt.Fprintf(t.out, " (%s)", detail)
	}
	fmt.Fprintln(t.out)
}

// verdict says the counts and whether the bar was reached.
func (t *try) verdict() error {
	total := t.killed + t.survived
	share := 100 * float64(t.killed) / float64(max(total, 1))
	fmt.Fprintf(t.out, "%d of %d killed (%.1f %%), %d equivalent, %d did not compile\n", t.killed, total, share, t.same, t.bad)
	if total > 0 && share < t.bar {
		return fmt.Errorf("%.1f %% of the mutants were killed, expected at least %.1f %%; write tests that notice the ones that survived", share, t.bar)
	}
	return nil
}

func keep(all []mutant, want func(mutant) bool) []mutant {
	var out []mutant
	for _, m := range all {
		if want(m) {
			out = append(out, m)
		}
	}
	return out
}

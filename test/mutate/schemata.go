package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// switchOff is the variable that tells a binary with every mutant in it which of them to be.
const switchOff = "ROBOWARDEN_MUTANT"

// binary is a package's tests with every clause that can be switched off: one build serves all of them.
type binary struct {
	dir, pkg, path string
	number         map[string]int // by mutant.place
	timeout        time.Duration
	args           []string
}

// place tells mutants apart within one run.
func (m mutant) place() string { return fmt.Sprintf("%s:%d-%d", m.file, m.from, m.to) }

// assemble builds the tests of a package with a switch in each clause. Mutants that are no condition keep their own builds.
func assemble(ctx context.Context, pkg string, all []mutant, timeout time.Duration, args []string) (*binary, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	pkg, err = filepath.Abs(pkg)
	if err != nil {
		return nil, err
	}
	b := &binary{dir: dir, pkg: pkg, path: filepath.Join(dir, "tests"), number: map[string]int{}, timeout: timeout, args: args}
	byFile := map[string][]mutant{}
	for _, m := range all {
		if m.cond {
			byFile[m.file] = append(byFile[m.file], m)
		}
	}
	replace, name := map[string]string{}, ""
	for file, list := range byFile {
		text, pkgName, err := b.switched(file, list)
		if err != nil {
			return b, err
		}
		name = pkgName
		changed := filepath.Join(dir, filepath.Base(file))
		abs, err := filepath.Abs(file)
		if err := errors.Join(err, os.WriteFile(changed, []byte(text), 0o600)); err != nil {
			return b, err
		}
		replace[abs] = changed
	}
	const added = "zz_mutant.go"
	code := fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar theMutant = os.Getenv(%q)\n\nfunc mutantOff(n string) bool { return n == theMutant }\n", name, switchOff)
	replace[filepath.Join(pkg, added)] = filepath.Join(dir, added)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, added), []byte(code), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return b, err
	}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", list, "-o", b.path, ".")
	build.Dir = pkg
	if out, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("build of %s with its clauses switchable: %w\n%s", pkg, err, out)
	}
	return b, nil
}

// switched returns a file's text with a switch in each clause, and the name of its package.
func (b *binary) switched(file string, list []mutant) (text, pkg string, err error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(src)) {
		if name, ok := strings.CutPrefix(line, "package "); ok {
			pkg = strings.TrimSpace(name)
			break
		}
	}
	// From the end, so that offsets stay true.
	slices.SortFunc(list, func(x, y mutant) int { return y.from - x.from })
	text, next := string(src), len(src)+1
	for _, m := range list {
		if m.to > next {
			continue // around another: it keeps a build of its own
		}
		next = m.from
		n := len(b.number)
		b.number[m.place()] = n
		text = text[:m.from] + fmt.Sprintf("!mutantOff(\"%d\") && (%s)", n, src[m.from:m.to]) + text[m.to:]
	}
	return text, pkg, nil
}

// attempt runs the tests as one mutant; number -1 is none of them.
func (b *binary) attempt(ctx context.Context, number int) (fate, string, error) {
	out, err := runTests(ctx, b.pkg, b.path, b.timeout, b.args, fmt.Sprintf("%s=%d", switchOff, number))
	if ctx.Err() != nil {
		return survived, "", ctx.Err()
	}
	if err == nil {
		return survived, "", nil
	}
	return killed, first(out), nil
}

// one tries a mutant by its switch, or by a build of its own.
func (b *binary) one(ctx context.Context, m mutant) (fate, string, error) {
	if n, ok := b.number[m.place()]; ok {
		return b.attempt(ctx, n)
	}
	return attempt(ctx, m, b.timeout, b.args)
}

// Command pack makes the Debian package of the robot's binary; it builds nothing, starts nothing and never looks at the
// clock, so the same input gives the same package, byte for byte.
//
// Usage: go run ./pack -arch arm64 -binary ../bin/robowarden-linux-arm64 -version 1.2.3 -epoch 1700000000 -out ../bin.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

// Package says what goes into a package.
type Package struct {
	// Root is the project's folder, from which units and documents are taken.
	Root string
	// Binary is the robot's program for Arch, which is amd64 or arm64.
	Binary, Arch string
	// Version is the program's version, as git describes it.
	Version string
	// Epoch is the time of every file, in seconds since the Unix epoch: the commit's.
	Epoch int64
}

// entry is one file of the package: where it comes from, where it goes, and its mode.
type entry struct {
	from, to string
	mode     os.FileMode
}

// content is everything but the binary. A name that ends with a slash is a folder.
var content = []entry{
	{"configs/systemd/robowarden-guard.service", "/usr/lib/systemd/system/robowarden-guard.service", 0o644},
	{"configs/systemd/robowarden-steward.service", "/usr/lib/systemd/system/robowarden-steward.service", 0o644},
	{"configs/systemd/robowarden-courier.service", "/usr/lib/systemd/system/robowarden-courier.service", 0o644},
	{"configs/systemd/robowarden-enroll.service", "/usr/lib/systemd/system/robowarden-enroll.service", 0o644},
	{"configs/systemd/robowarden-enroll.timer", "/usr/lib/systemd/system/robowarden-enroll.timer", 0o644},
	{"configs/systemd/robowarden-measure.service", "/usr/lib/systemd/system/robowarden-measure.service", 0o644},
	{"configs/systemd/robowarden.slice", "/usr/lib/systemd/system/robowarden.slice", 0o644},
	{"configs/systemd/robowarden.sysusers", "/usr/lib/sysusers.d/robowarden.conf", 0o644},
	{"configs/systemd/deployment.yaml", "/usr/share/robowarden/skeleton/deployment.yaml", 0o644},
	{"configs/examples/diff-drive/profile.yaml", "/usr/share/robowarden/skeleton/profile.yaml", 0o644},
	{"configs/examples/diff-drive/topics.yaml", "/usr/share/robowarden/skeleton/topics.yaml", 0o644},
	{"configs/examples/diff-drive/policy.yaml", "/usr/share/robowarden/skeleton/policy.yaml", 0o644},
	{"configs/deployment.schema.json", "/usr/share/robowarden/deployment.schema.json", 0o644},
	{"configs/robot-profile.schema.json", "/usr/share/robowarden/robot-profile.schema.json", 0o644},
	{"configs/topic-mapping.schema.json", "/usr/share/robowarden/topic-mapping.schema.json", 0o644},
	{"configs/policy.schema.json", "/usr/share/robowarden/policy.schema.json", 0o644},
	{"configs/commissioning-record.schema.json", "/usr/share/robowarden/commissioning-record.schema.json", 0o644},
	{"LICENSE", "/usr/share/doc/robowarden/copyright", 0o644},
	{"", "/etc/robowarden/", 0o755},
	{"", "/etc/robowarden/keys/", 0o755},
	{"", "/etc/robowarden/credentials/", 0o700},
	{"", "/etc/robowarden/credentials/guard/", 0o700},
	{"", "/etc/robowarden/credentials/courier/", 0o700},
}

// Write writes the package and returns its file name.
func (p *Package) Write(w io.Writer) (string, error) {
	info, err := p.info()
	if err != nil {
		return "", err
	}
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return "", err
	}
	return deb.Default.ConventionalFileName(info), deb.Default.Package(info, w)
}

func (p *Package) info() (*nfpm.Info, error) {
	if p.Arch != "amd64" && p.Arch != "arm64" {
		return nil, fmt.Errorf("architecture: expected amd64 or arm64, found %q", p.Arch)
	}
	if p.Epoch <= 0 {
		return nil, errors.New("epoch: expected the commit's time in seconds, found none")
	}
	at := time.Unix(p.Epoch, 0).UTC()
	script := func(name string) string { return filepath.Join(p.Root, "configs/systemd", name) }
	list := files.Contents{file(p.Binary, "/usr/bin/robowarden", 0o755, at)}
	for _, e := range content {
		if e.from == "" {
			list = append(list, &files.Content{
				Destination: strings.TrimSuffix(e.to, "/"), Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: e.mode, MTime: at, Owner: "root", Group: "root"},
			})
			continue
		}
		list = append(list, file(filepath.Join(p.Root, e.from), e.to, e.mode, at))
	}
	return nfpm.WithDefaults(&nfpm.Info{
		Name: "robowarden", Arch: p.Arch, Platform: "linux", Version: debianVersion(p.Version), VersionSchema: "none",
		Section: "admin", Priority: "optional", Maintainer: "robowarden <security@robowarden.invalid>", License: "Apache-2.0",
		Homepage:    "https://github.com/robowarden/robowarden",
		Description: "security agent that lives on a robot\n It holds the robot to the site's rules and brings it to a safe state when they, the\n control channel or the robot can no longer be trusted.",
		MTime:       at,
		Overridables: nfpm.Overridables{
			Depends:  []string{"systemd (>= 250)", "init-system-helpers"},
			Contents: list,
			Scripts:  nfpm.Scripts{PostInstall: script("postinst"), PreRemove: script("prerm"), PostRemove: script("postrm")},
			Deb:      nfpm.Deb{Compression: "gzip"},
		},
	}), nil
}

func file(from, to string, mode os.FileMode, at time.Time) *files.Content {
	return &files.Content{Source: from, Destination: to, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: at, Owner: "root", Group: "root"}}
}

var notDebian = regexp.MustCompile(`[^A-Za-z0-9.+~]+`)

// debianVersion makes git's description a Debian version: v1.2.3-4-gabcdef becomes 1.2.3+4+gabcdef, which sorts after
// 1.2.3; what is no version at all sorts before every one.
func debianVersion(v string) string {
	v = notDebian.ReplaceAllString(strings.TrimPrefix(v, "v"), "+")
	if v == "" || v[0] < '0' || v[0] > '9' {
		v = "0~" + v
	}
	return v
}

func main() {
	var p Package
	out := flag.String("out", ".", "the folder for the package")
	flag.StringVar(&p.Root, "root", "..", "the project's folder")
	flag.StringVar(&p.Binary, "binary", "", "the robot's program")
	flag.StringVar(&p.Arch, "arch", "", "amd64 or arm64")
	flag.StringVar(&p.Version, "version", "", "the version, as git describes it")
	flag.Int64Var(&p.Epoch, "epoch", 0, "the commit's time in seconds since the Unix epoch")
	flag.Parse()
	name, err := run(&p, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	fmt.Println(name)
}

// run writes the package into a folder, whole or not at all.
func run(p *Package, folder string) (string, error) {
	f, err := os.CreateTemp(folder, ".pack")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is gone after a success
	name, err := p.Write(f)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return "", err
	}
	path := filepath.Join(folder, name)
	return path, os.Rename(f.Name(), path)
}

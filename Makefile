# robowarden: `make help` lists what there is.
GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILDTIME ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
CLI       := github.com/robowarden/robowarden/agent/internal/cli
LDFLAGS   := -s -w -X $(CLI).Version=$(VERSION) -X $(CLI).BuildTime=$(BUILDTIME)
# Code that is never on the way from a message to a command is not inlined: 1 MB less on the robot's flash and in its memory.
OURS      := github.com/robowarden/robowarden
COLD      := google.golang.org/... golang.org/x/... kernel.org/... $(addprefix github.com/,sigstore/... eclipse/... gorilla/... \
	spf13/... goccy/... fxamacker/... google/... bluenviron/... landlock-lsm/... rs/... veraison/... x448/... youmark/... \
	secure-systems-lab/... opencontainers/... coreos/... mattn/...) vendor/golang.org/... \
	net net/http/... net/netip net/textproto net/url crypto/hpke crypto/internal/fips140/mlkem crypto/internal/fips140/rsa crypto/rsa crypto/tls crypto/x509/... encoding/asn1 encoding/base64 encoding/csv \
	encoding/hex encoding/json encoding/pem encoding/xml archive/... bufio compress/... context errors flag fmt html/... log/... math/big \
	mime/... os path/... reflect regexp/... sort text/... unicode/... \
	$(addprefix $(OURS)/,agent/config/... agent/internal/... agent/commission agent/contract agent/courier agent/evidencelog agent/fleet agent/flight \
	agent/slots agent/steward agent/trial attest/... hal/proc hal/ros2/idl)
BUILD     := CGO_ENABLED=0 $(GO) build -trimpath $(COLD:%=-gcflags=%=-l) -ldflags "$(LDFLAGS)"
LINTER    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
# The robot binary's budget in bytes (16 MiB), see make size.
BUDGET    := 16777216

.DEFAULT_GOAL := help
.PHONY: help build deb demo test qualify machine bench size lint fmt setup clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

build: ## bin/robowarden, bin/robowarden-station and bin/robowarden-linux-arm64, static
	@mkdir -p bin
	@$(BUILD) -o bin/robowarden ./agent/cmd/robowarden
	@$(BUILD) -o bin/robowarden-station ./agent/cmd/robowarden-station
	@GOOS=linux GOARCH=arm64 $(BUILD) -o bin/robowarden-linux-arm64 ./agent/cmd/robowarden
	@ls -sh1 bin/robowarden bin/robowarden-station bin/robowarden-linux-arm64

deb: build ## Debian packages for amd64 and arm64 in bin/, the same bytes for the same commit
	@cd test && for arch in amd64 arm64; do \
		binary=../bin/robowarden; [ $$arch = amd64 ] || binary=../bin/robowarden-linux-arm64; \
		$(GO) run ./pack -arch $$arch -binary $$binary -version $(VERSION) -epoch $(BUILDTIME) -out ../bin || exit 1; \
	done

demo: ## a day in a hospital, in under half a minute; needs nothing but Go
	@$(GO) run ./agent/cmd/robowarden-station demo --headless --fast

setup: ## install what the tests need (Debian packages, one apt-get, quick when done)
	@sh test/setup/install.sh

test: setup ## every test once; ends with the counts (REQUIRE_ALL=1: a skip is a failure)
	@cd test && $(GO) run ./tally

qualify: setup ## the long tests, room by room (ROOMS=fleet,dds picks some); writes docs/qualification.md
	@cd test && $(GO) run ./tally -qualify -rooms "$(ROOMS)" -report ../docs/qualification

machine: setup ## the ARM64 robot computer with its devices, each fault of each; writes docs/qualification/machine.md
	@cd test && $(GO) run ./tally -qualify -rooms machine -report ../docs/qualification

bench: setup ## latency beside roscpp, relay and rospy, geometry beside GEOS, heap objects, memory; writes docs/benchmarks.md
	@cd test && missed=0; for room in ./e2e ./geos; do \
		ROBOWARDEN_REPORT=$(CURDIR)/docs/benchmarks.md $(GO) test $$room -run '^$$' -bench . -benchtime 1x -timeout 60m || missed=1; \
	done; exit $$missed

size: build ## the robot binary against its budget
	@n=$$(stat -c %s bin/robowarden-linux-arm64); printf 'arm64 robot binary: %d bytes of %d (%d %%)\n' $$n $(BUDGET) $$((100 * n / $(BUDGET))); test $$n -le $(BUDGET)

lint: ## the linter with the house rules
	@$(GO) run $(LINTER) run ./...
	@cd test && $(GO) run $(LINTER) run --config ../.golangci.yml --build-tags qualify ./...

fmt: ## format the code
	@$(GO) run $(LINTER) fmt ./...
	@cd test && $(GO) run $(LINTER) fmt --config ../.golangci.yml ./...

clean: ## remove what was built
	rm -rf bin test/build test/out

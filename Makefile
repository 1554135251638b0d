# `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell cat VERSION)
PREFIX  ?= /usr/local
# The privileged program sits beside the other one and finds it there.
BINDIR  := $(DESTDIR)$(PREFIX)/bin

COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)$(shell git diff --quiet HEAD 2>/dev/null || echo +)
BUILT   := $(shell date -u -d @$${SOURCE_DATE_EPOCH:-$$(date +%s)} +%Y-%m-%dT%H:%M:%SZ)
# Without the documentation generators and suggestions of the command line
# library, and without HTTP/2, which no request of ours uses.
TAGS    := urfave_cli_no_docs,urfave_cli_no_suggest,nethttpomithttp2
export GOFLAGS := $(GOFLAGS) -tags=$(TAGS)
PKG     := jacamar-ci/internal/version
LDFLAGS := -s -w -X $(PKG).number=$(VERSION) -X $(PKG).commit=$(COMMIT) -X $(PKG).built=$(BUILT)
# Static: a privileged program loads no library that is not its own.
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# As root the Debian packages that the suites use are installed first.
SETUP   := if [ $$(id -u) -eq 0 ]; then go run ./test/harness/setup/packages; fi
# SHORT= runs the long cases too: every moment of a kill, a real time limit.
SHORT   ?= -short
GOTEST  := go test -count=1 -timeout 45m $(SHORT)
TALLY   := go run ./tools/testsummary
FUZZTIME ?= 30s
BIN     ?= bin
PROGRAMS ?= ./cmd/jacamar-auth ./cmd/jacamar ./cmd/jacamar-noauth ./cmd/jacamar-keys

.PHONY: help build install uninstall demo test test-root test-runner test-faults bench mutants fuzz lint deps clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## build bin/jacamar-auth, bin/jacamar and the two that they need beside them
	$(GOBUILD) -o $(BIN)/ $(PROGRAMS)

install: build ## install them below PREFIX (default /usr/local), in DESTDIR
	install -d -m 0755 '$(BINDIR)'
	install -m 0711 bin/jacamar '$(BINDIR)/jacamar'
	install -m 0755 bin/jacamar-noauth '$(BINDIR)/jacamar-noauth'
	install -m 0711 bin/jacamar-keys '$(BINDIR)/jacamar-keys'
	install -m 0750 bin/jacamar-auth '$(BINDIR)/jacamar-auth'
	@rpm/install-share '$(DESTDIR)' '$(PREFIX)'

uninstall: ## remove what install put there
	rm -f '$(BINDIR)/jacamar' '$(BINDIR)/jacamar-noauth' '$(BINDIR)/jacamar-keys' '$(BINDIR)/jacamar-auth'
	@rpm/install-share --remove '$(DESTDIR)' '$(PREFIX)'

demo: ## run a pipeline of this repository through the whole of it (EXECUTOR=slurm: on a Slurm cluster)
	@go run ./tools/demo $(if $(EXECUTOR),-executor $(EXECUTOR)) $(ARGS)

test: ## run every suite that can run here; as root, the Debian packages for them are installed
	@$(SETUP)
	go vet ./...
	@$(GOTEST) -v ./... | $(TALLY)
	@if [ $$(id -u) -eq 0 ]; then echo 'Once more, as an ordinary user:'; test/harness/setup/as-user ./internal/... | $(TALLY); fi

test-root: ## run the suites that have a part for root; fails as another user
	@if [ $$(id -u) -ne 0 ]; then echo 'make test-root: you are not root' >&2; exit 1; fi
	@$(SETUP)
	@$(GOTEST) -v $$(grep -rlE 'Geteuid\(\)|site\.New\(' --include='*_test.go' . | xargs -n 1 dirname | sort -u) | $(TALLY)

test-runner: ## run whole jobs under the official gitlab-runner (GITLAB_RUNNER=PATH, or on PATH)
	@$(SETUP)
	@if [ ! -x "$${GITLAB_RUNNER:-$$(command -v gitlab-runner)}" ]; then echo 'make test-runner: no gitlab-runner on PATH, and GITLAB_RUNNER names none' >&2; exit 1; fi
	@$(GOTEST) -v ./test/suites/gitlabrunner | $(TALLY)

# The points are dealt out to as many processes, each with test accounts of its own.
PARTS ?= 2

test-faults: ## inject a fault at every system call (root; strace)
	@if [ $$(id -u) -ne 0 ]; then echo 'make test-faults: you are not root' >&2; exit 1; fi
	@$(SETUP)
	@mkdir -p dist && rm -f dist/faults-*.log && go test -c -o dist/faults.test ./test/suites/faultinjection
	@cd test/suites/faultinjection; for part in $$(seq 0 $$(($(PARTS) - 1))); do \
	  ../../../dist/faults.test -test.v -test.timeout 90m -test.run '^TestFaults$$' -sweep -part $$part/$(PARTS) >../../../dist/faults-$$part.log 2>&1 & all="$$all $$!"; \
	done; for one in $$all; do wait $$one || failed=1; done; awk -f count.awk ../../../dist/faults-*.log; exit $${failed:-0}

bench: ## measure (root) a stage against sudo, su and bare bash; memory; the job log
	@go run ./tools/bench $(ARGS)

mutants: ## negate each condition of the deciding packages (mutation testing; root) (ARGS=-only=REGEXP)
	@go run ./tools/mutation $(ARGS)

fuzz: ## run every fuzz target for FUZZTIME (default 30s)
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' . | sort | while IFS=: read -r file name; do \
	  echo "$$file $${name#func }"; \
	  go test -run '^$$' -fuzz "^$${name#func }$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null || exit 1; \
	done

lint: ## gofmt, vet, the layering of the packages, and golangci-lint where it is installed
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted" >&2; exit 1; fi
	go vet ./...
	go test -count=1 ./test/repo/layering ./cmd/...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
	else echo 'golangci-lint is not installed: the rules of .golangci.yml beyond the above were not checked'; fi

deps: ## write cmd/*/deps.txt again: every package that is linked
	go test ./cmd/... -run '^TestDeps$$' -update

clean: ## remove what was built
	rm -rf bin dist

include rpm/package.mk

# `make help` lists the targets that a person calls; a target without "##" is part of another.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell cat VERSION)
PREFIX  ?= /usr/local
# All programs go into one directory: jacamar-auth starts the others from its own.
BINDIR  := $(DESTDIR)$(PREFIX)/bin

COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)$(shell git diff --quiet HEAD 2>/dev/null || echo +)
BUILT   := $(shell date -u -d @$${SOURCE_DATE_EPOCH:-$$(date +%s)} +%Y-%m-%dT%H:%M:%SZ)
# Without the documentation generators and suggestions of the command line
# library, and without HTTP/2, which no program uses.
TAGS    := urfave_cli_no_docs,urfave_cli_no_suggest,nethttpomithttp2
export GOFLAGS := $(GOFLAGS) -tags=$(TAGS)
PKG     := jacamar-ci/internal/version
LDFLAGS := -s -w -X $(PKG).number=$(VERSION) -X $(PKG).commit=$(COMMIT) -X $(PKG).built=$(BUILT)
# Static: a privileged program loads no shared library.
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# As root the Debian packages that the suites use are installed first.
SETUP   := if [ $$(id -u) -eq 0 ]; then go run ./test/harness/setup/packages; fi
# SHORT= runs the long cases too: a kill at every moment, a real time limit.
SHORT   ?= -short
GOTEST  := go test -count=1 -timeout 75m $(SHORT)
# These begin first: one that began last would run alone at the end.
LONGEST := ./test/suites/schedulers ./test/suites/e2e
TALLY   := go run ./tools/testsummary
FUZZTIME ?= 30s
BIN     ?= bin
PROGRAMS ?= ./cmd/jacamar-auth ./cmd/jacamar ./cmd/jacamar-admin ./cmd/jacamar-noauth ./cmd/jacamar-keys

.PHONY: help build install uninstall demo test test-root test-runner test-faults bench mutants fuzz lint deps clean

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build all programs in bin/
	$(GOBUILD) -o $(BIN)/ $(PROGRAMS)

# What is in bin is installed as it is: root needs no Go.
install: $(if $(wildcard bin/jacamar-auth),,build) ## install bin, manual pages and examples below PREFIX (/usr/local), in DESTDIR
	install -d -m 0755 '$(BINDIR)'
	install -m 0711 bin/jacamar '$(BINDIR)/jacamar'
	install -m 0755 bin/jacamar-noauth '$(BINDIR)/jacamar-noauth'
	install -m 0711 bin/jacamar-keys '$(BINDIR)/jacamar-keys'
	install -m 0755 bin/jacamar-admin '$(BINDIR)/jacamar-admin'
	install -m 0750 bin/jacamar-auth '$(BINDIR)/jacamar-auth'
	@rpm/install-share '$(DESTDIR)' '$(PREFIX)'

uninstall: ## remove what install installed, with the same PREFIX and DESTDIR
	rm -f '$(BINDIR)/jacamar' '$(BINDIR)/jacamar-noauth' '$(BINDIR)/jacamar-keys' '$(BINDIR)/jacamar-admin' '$(BINDIR)/jacamar-auth'
	@rpm/install-share --remove '$(DESTDIR)' '$(PREFIX)'

demo: ## run a pipeline of this repository as jobs (EXECUTOR=slurm: on a Slurm cluster)
	@go run ./tools/demo $(if $(EXECUTOR),-executor $(EXECUTOR)) $(ARGS)

test: ## run every suite that can run here; as root, first install Debian packages for them
	@$(SETUP)
	go vet ./...
	@$(GOTEST) -v $(LONGEST) ./... | $(TALLY)
	@if [ $$(id -u) -eq 0 ]; then echo 'The unit tests again, as an ordinary user:'; test/harness/setup/as-user ./internal/... | $(TALLY); fi

test-root: ## run the suites that need root
	@if [ $$(id -u) -ne 0 ]; then echo 'make test-root needs root' >&2; exit 1; fi
	@$(SETUP)
	@$(GOTEST) -v $$(grep -rlE 'Geteuid\(\)|site\.New\(' --include='*_test.go' . | xargs -n 1 dirname | sort -u) | $(TALLY)

test-runner: ## run whole jobs under an official gitlab-runner (GITLAB_RUNNER=FILE, or from PATH)
	@$(SETUP)
	@if [ ! -x "$${GITLAB_RUNNER:-$$(command -v gitlab-runner)}" ]; then echo 'make test-runner: no gitlab-runner on PATH, and GITLAB_RUNNER names none' >&2; exit 1; fi
	@$(GOTEST) -v ./test/suites/gitlabrunner | $(TALLY)

# PARTS processes share the points; each has test accounts of its own.
PARTS ?= 2

test-faults: ## inject a fault at every system call of a job (needs root and strace)
	@if [ $$(id -u) -ne 0 ]; then echo 'make test-faults needs root' >&2; exit 1; fi
	@$(SETUP)
	@mkdir -p dist && rm -f dist/faults-*.log && go test -c -o dist/faults.test ./test/suites/faultinjection
	@cd test/suites/faultinjection; for part in $$(seq 0 $$(($(PARTS) - 1))); do \
	  ../../../dist/faults.test -test.v -test.timeout 90m -test.run '^TestFaults' -sweep -part $$part/$(PARTS) >../../../dist/faults-$$part.log 2>&1 & all="$$all $$!"; \
	done; for one in $$all; do wait $$one || failed=1; done; awk -f count.awk ../../../dist/faults-*.log; exit $${failed:-0}

bench: ## measure stages against sudo, su and bash; memory; the job log (needs root)
	@go run ./tools/bench $(ARGS)

mutants: ## mutation testing: negate each condition that decides (needs root; ARGS=-only=REGEXP)
	@go run ./tools/mutation $(ARGS)

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' . | sort | while IFS=: read -r file name; do \
	  echo "$$file $${name#func }"; \
	  go test -run '^$$' -fuzz "^$${name#func }$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null || exit 1; \
	done

lint: ## run gofmt, go vet, the layering tests and, where installed, golangci-lint
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted" >&2; exit 1; fi
	go vet ./...
	go test -count=1 ./test/repo/layering ./cmd/...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
	else echo 'golangci-lint is not installed: the other rules of .golangci.yml were not checked'; fi

deps: ## update cmd/*/deps.txt, the lists of linked packages
	go test ./cmd/... -run '^TestDeps$$' -update

clean: ## remove bin and dist
	rm -rf bin dist

include rpm/package.mk

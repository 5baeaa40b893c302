# Riposte. `make run` builds everything and starts the demo; `make test` installs
# what the tests need and runs all of them. Every target works from a fresh
# clone on Debian 12 with Go and Node.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

GO ?= go
# Real corpora that are never part of the repository.
export RIPOSTE_SHARED ?= $(abspath ../shared)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

CACHE := $(CURDIR)/.cache
LINT_VERSION := v2.15.0
LINT := $(CACHE)/bin/golangci-lint-$(LINT_VERSION)
TESTSUMMARY := $(CACHE)/bin/testsummary

# Debian packages that tests use directly; systems of the lab install their own.
TEST_PACKAGES := shellcheck jq curl openssl procps python3
# Systems that `make test` starts for real, and those that only `make test-long` does.
TEST_LAB := smtp rsyslog sagan crowdsec nginx slapd dovecot firewall
LONG_LAB := $(TEST_LAB) samba-ad oidc bind clamd yara rt postgres toxiproxy

.PHONY: build run test test-long test-deps bench check generate fmt lint clean help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## leave bin/riposte
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/riposte ./cmd/riposte

run: build ## build everything and start the demo
	./bin/riposte demo

# The checks come first and stop nothing: one run tells all that is wrong. The
# very last line says how many tests ran.
test: test-deps $(TESTSUMMARY) ## install what the tests need, then run all of them
	@$(MAKE) --no-print-directory run-tests TEST_FLAGS='-timeout 20m' LAB_SYSTEMS='$(TEST_LAB)'

test-long: test-deps $(TESTSUMMARY) ## the same with hundreds of crashes, more random cases, more of the lab
	@$(MAKE) --no-print-directory run-tests TEST_FLAGS='-timeout 80m' LAB_SYSTEMS='$(LONG_LAB)' RIPOSTE_LONG=1

# A PostgreSQL of its own for the tests of records, gone at the end. Without it
# they say that they were skipped.
define WITH_DATABASE
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  export LAB_DIR; LAB_DIR=$$(mktemp -d /tmp/riposte-lab.XXXXXX); chmod 755 "$$LAB_DIR"; \
  trap 'LAB_NET=127.0.92 LAB_NS=rt lab/lab down all >/dev/null 2>&1 || true; rm -rf "$$LAB_DIR"' EXIT; \
  echo "== PostgreSQL" >&2; \
  if LAB_NET=127.0.92 LAB_NS=rt lab/lab install postgres >"$$LAB_DIR/said" 2>&1 && LAB_NET=127.0.92 LAB_NS=rt lab/lab up postgres >>"$$LAB_DIR/said" 2>&1; then \
    export LAB_POSTGRES_URL; LAB_POSTGRES_URL=$$(sed -n 's/^LAB_POSTGRES_URL=//p' "$$LAB_DIR/postgres/env"); \
  else tail -n 5 "$$LAB_DIR/said" >&2; echo "PostgreSQL did not start; what needs it is skipped" >&2; fi; \
fi;
endef

.PHONY: run-tests
run-tests:
	@args=(); \
	for c in check-format check-vet check-shell check-generated; do \
	  name=$${c#check-}; rc=0; \
	  echo "== $$name" >&2; \
	  $(MAKE) --no-print-directory $$c || rc=$$?; \
	  case $$rc in 0) args+=(-passed "$$name") ;; *) args+=(-failed "$$name") ;; esac; \
	done; \
	$(WITH_DATABASE) \
	echo "== tests" >&2; \
	RIPOSTE_LONG=$(RIPOSTE_LONG) RIPOSTE_LAB='$(LAB_SYSTEMS)' $(GO) test -json $(TEST_FLAGS) ./... | $(TESTSUMMARY) -v "$${args[@]}"

# Only root on a Debian system installs; everybody else is told what is missing,
# and the tests that need it skip with a reason.
test-deps:
	@missing=(); \
	for p in $(TEST_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q ' installed$$' || missing+=($$p); \
	done; \
	if [ $${#missing[@]} -gt 0 ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing $${missing[*]}" >&2; mkdir -p $(CACHE); \
	    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$${missing[@]}"; } \
	      >$(CACHE)/apt.log 2>&1 </dev/null || { tail -n 5 $(CACHE)/apt.log >&2; echo "could not install $${missing[*]}; what needs them is skipped" >&2; }; \
	  else \
	    echo "missing for some tests, install as root: apt-get install $${missing[*]}" >&2; \
	  fi; \
	fi

$(TESTSUMMARY): $(wildcard internal/tools/testsummary/*.go)
	@$(GO) build -o $@ ./internal/tools/testsummary

# The linter is a module of its own: its 200 dependencies stay out of ours.
$(LINT): internal/tools/lint/go.mod
	@echo "building golangci-lint $(LINT_VERSION), once" >&2
	@$(GO) build -C internal/tools/lint -trimpath -ldflags '-s -w' -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: check-format check-vet check-lint check-shell check-generated
check-format:
	@bad=$$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 ls 2>/dev/null | xargs gofmt -l); \
	if [ -n "$$bad" ]; then echo "not formatted, run make fmt:" >&2; echo "$$bad" >&2; exit 1; fi
check-vet:
	@$(GO) vet ./...
check-lint: $(LINT)
	@$(LINT) run ./...
check-shell:
	@if command -v shellcheck >/dev/null; then cd lab && shellcheck -x lab make-samples samples/*.sh lib/*.sh systems/*.sh ../.ci/run; \
	else echo "shellcheck is not installed: the lab's scripts are not checked" >&2; fi
# Generated files are right when generating them again changes nothing.
check-generated:
	@sums() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null || true; }; \
	before=$$(sums); $(MAKE) --no-print-directory generate; after=$$(sums); \
	if [ "$$before" != "$$after" ]; then \
	  echo "generated files were out of date; they are written now, commit them:" >&2; \
	  diff <(echo "$$before") <(echo "$$after") | sed -n 's/^> [0-9a-f]*  /  /p' >&2; exit 1; fi

generate: ## write what is derived: JSON Schemas, OpenAPI, docs
	@$(GO) generate ./...

lint: check-lint ## run the linter alone

fmt: ## format the code
	@gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

check: check-format check-vet check-lint check-shell check-generated ## everything a change must pass, tests with the race detector
	$(GO) test -race -short ./...

bench: build ## compare with the floor program and the targets of docs/architecture.md
	$(GO) run ./bench/run

clean: ## remove what was built
	rm -rf bin .cache

# Everything a developer of muster needs. `make help` lists it.
SHELL      := /bin/bash
GO         ?= go
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS    := -X main.version=$(VERSION)
TOOL       := $(GO) tool -modfile=tools/go.mod
FUZZTIME   ?= 5m
PACKAGES   := ./...

.DEFAULT_GOAL := build
.PHONY: help build schema test test-deps demo bench fuzz chaos lint clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/muster
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/muster ./cmd/muster

schema: ## write docs/action.schema.json from the types
	$(GO) generate ./internal/actionschema

test-deps: ## install the servers and tools that the tests talk to (idempotent; needs root or sudo)
	@./.ci/deps

test: test-deps build ## all tests, with the race detector; full-size runs without it
	$(GO) test -race -timeout 20m $(PACKAGES)
	$(GO) test -race -tags http3 -run HTTP3 ./probe
	MUSTER_FULL=1 $(GO) test -timeout 15m -run 'Full' $(PACKAGES)

demo: build ## a simulated fleet of 10,000 and real commands on it
	./bin/muster demo

bench: test-deps build ## measure against floors and peers, side by side; writes docs/performance.md
	$(GO) run ./bench

fuzz: ## every fuzzer for FUZZTIME (5m), one after the other
	@./.ci/fuzz $(FUZZTIME)

chaos: build ## faults at random moments, by seed: kill -9, full disks
	MUSTER_CHAOS=1 $(GO) test -timeout 60m -count 1 -v -run Chaos ./internal/cli/... ./internal/execute/...

lint: ## vet, go fix, staticcheck, gofumpt; each exception has its reason beside it
	$(GO) vet $(PACKAGES)
	$(GO) vet -tags http3 $(PACKAGES)
	@out="$$($(GO) fix -diff $(PACKAGES))"; if [ -n "$$out" ]; then echo "$$out"; echo "go fix ./... would change the above"; exit 1; fi
	$(TOOL) staticcheck $(PACKAGES)
	@out="$$($(TOOL) gofumpt -l $$(git ls-files '*.go'))"; if [ -n "$$out" ]; then echo "gofumpt -w would change:"; echo "$$out"; exit 1; fi

clean: ## remove what was built
	rm -rf bin .cache

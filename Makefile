# roomcall: every task is one command. `make help` lists them.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
# Without HTTP/2: endpoints and the local page use HTTP/1.1.
GOBUILD  = CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags '$(LDFLAGS)'
MAX_BYTES = 14000000
PLATFORMS = windows/amd64 linux/amd64 linux/arm64 linux/arm
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.1.4
GREMLINS = github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
FUZZTIME ?= 10m

.PHONY: help build demo test unit needs lint vuln cross bench bench-fleet compare fuzz mutants crash soak interop scale package test-packages test-browser pictures test-systemd test-windows example-day clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

build: ## build bin/roomcall
	$(GOBUILD) -o bin/roomcall ./agent

demo: build ## watch the main job within a minute; ARGS=--keep continues
	$(GOBUILD) -o bin/roomcall-demo ./packaging/demo
	bin/roomcall-demo --agent bin/roomcall $(ARGS)

test: needs build ## run every test (installs what is missing when root)
	CGO_ENABLED=1 go test -race -timeout 15m ./...

unit: ## run the tests without the race detector
	go test ./...

needs: ## install what the tests need, or print what to install
	@packaging/scripts/needs.sh

lint: ## formatting, vet for Linux and Windows, staticcheck
	@test -z "$$(gofmt -l agent buffer cgi durable publish service packaging)" || { gofmt -l agent buffer cgi durable publish service packaging; echo "run gofmt -w on the files above"; exit 1; }
	go vet ./...
	GOOS=windows go vet ./...
	go run $(STATICCHECK) ./...

vuln: ## known vulnerabilities in code that is called; needs vuln.go.dev
	go run $(GOVULNCHECK) ./...

cross: ## build for every platform, each within MAX_BYTES
	@set -e; out=$$(mktemp); trap 'rm -f "$$out"' EXIT; for p in $(PLATFORMS); do \
		GOOS=$${p%/*} GOARCH=$${p#*/} $(GOBUILD) -o "$$out" ./agent; \
		size=$$(wc -c <"$$out"); echo "build $$p: $$size bytes"; \
		[ "$$size" -le $(MAX_BYTES) ] || { echo "larger than $(MAX_BYTES) bytes"; exit 1; }; \
	done

bench bench-fleet compare: export BENCH_GOBUILD = $(GOBUILD)

bench: build needs ## speed and size, the figures of docs/benchmarks.md
	packaging/scripts/bench.sh

bench-fleet: build needs ## 1,000 simulated endpoints in one agent
	packaging/scripts/bench.sh fleet

compare: build needs ## the same job by Telegraf and Node-RED; COMPARE_SHORT=1 only tries that it works
	BENCH_SHORT=$(COMPARE_SHORT) packaging/scripts/bench.sh compare

crash: build needs ## kill the agent and the store ROUNDS times (default 1000)
	packaging/scripts/crash.sh

soak: build needs ## power cuts, damage, bad networks, long drains: the full counts
	packaging/scripts/soak.sh

interop: build needs ## run every consumer of packaging/consumers
	packaging/scripts/interop.sh

scale: needs ## ROOMS simulated rooms (default 10000) on mosquitto and NATS, the figures of docs/scale.md
	packaging/scripts/scale.sh

example-day: ## write docs/example-day.md again
	packaging/scripts/example-day.sh

package: ## packages and installers, in dist/
	packaging/scripts/package.sh

test-packages: ## test the packages as files
	packaging/scripts/test-packages.sh

test-browser: ## the status page in Chromium (installs it when root)
	packaging/scripts/test-browser.sh

pictures: ## write docs/pictures again
	packaging/scripts/test-browser.sh --pictures

test-systemd: ## the .deb on a real, booted systemd
	packaging/scripts/test-systemd.sh

test-windows: ## the .exe and the MSI under wine
	packaging/scripts/test-windows.sh

fuzz: ## fuzz what parses, FUZZTIME each
	FUZZTIME=$(FUZZTIME) packaging/scripts/fuzz.sh

mutants: needs ## break MUTATED in small ways and list what no test noticed, MUTANTTIME each
	GREMLINS=$(GREMLINS) packaging/scripts/mutants.sh

clean: ## remove the build output
	rm -rf bin dist

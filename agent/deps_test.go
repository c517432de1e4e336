package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// goPackage is what `go list` tells of a package.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func modulePackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "roomcall/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// allowedArrows holds every import between the module's packages that the design
// has; test helpers are the packages that end in "test". Beside these everything
// below agent may use agent/host and agent/config, and everything may use durable, a
// leaf that writes files.
var allowedArrows = map[string][]string{
	"roomcall/agent": {"roomcall/agent/cli"},
	"roomcall/agent/cli": {
		"roomcall/agent/run", "roomcall/service",
		// what a command shows or does without an agent
		"roomcall/agent/drain", "roomcall/agent/health", "roomcall/agent/record", "roomcall/agent/report", "roomcall/agent/report/story", "roomcall/agent/web",
		"roomcall/buffer", "roomcall/cgi", "roomcall/publish",
		"roomcall/cgi/cgitest", // the command simulate
	},
	"roomcall/agent/run": {
		"roomcall/agent/poll", "roomcall/agent/record", "roomcall/agent/drain", "roomcall/agent/health", "roomcall/agent/web",
		"roomcall/agent/report", "roomcall/buffer", "roomcall/cgi", "roomcall/publish", // what it opens and hands to the loops
	},
	"roomcall/agent/poll":   {"roomcall/agent/health", "roomcall/agent/report", "roomcall/cgi"},
	"roomcall/agent/record": {"roomcall/agent/health", "roomcall/agent/report", "roomcall/buffer", "roomcall/cgi"},
	"roomcall/agent/drain":  {"roomcall/agent/health", "roomcall/agent/record", "roomcall/agent/report", "roomcall/buffer", "roomcall/publish"},
	"roomcall/agent/web":    {"roomcall/agent/health", "roomcall/agent/report"},
	"roomcall/agent/health": {},
	"roomcall/agent/host":   {},
	"roomcall/agent/config": {},
	// below agent/report: payload holds the published structs, view the other
	// systems' shapes; both know only what an endpoint says. story reads records again
	"roomcall/agent/report":         {"roomcall/agent/health", "roomcall/agent/report/payload", "roomcall/agent/report/view", "roomcall/cgi"},
	"roomcall/agent/report/payload": {"roomcall/cgi"},
	"roomcall/agent/report/view":    {"roomcall/agent/report/payload", "roomcall/cgi"},
	"roomcall/agent/report/story":   {"roomcall/agent/report", "roomcall/agent/report/payload", "roomcall/agent/health"},
	"roomcall/packaging/demo":       {"roomcall/cgi/cgitest"},
	"roomcall/packaging/fleet/sim": { // many agents in one process
		"roomcall/agent/config", "roomcall/agent/host", "roomcall/agent/run",
		"roomcall/agent/poll", "roomcall/agent/record", "roomcall/agent/drain", "roomcall/agent/report",
		"roomcall/buffer", "roomcall/cgi", "roomcall/publish",
	},
}

// forAll may be imported by everything below agent, but by themselves.
var forAll = []string{"roomcall/agent/host", "roomcall/agent/config"}

func TestPackagesImportOnlyAlongTheArrowsOfTheDesign(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range modulePackages(t) {
		imports[p.ImportPath] = p.Imports
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "roomcall/") || strings.HasSuffix(p.ImportPath, "test") || imp == "roomcall/durable" {
				continue
			}
			if slices.Contains(forAll, imp) && strings.HasPrefix(p.ImportPath, "roomcall/agent/") {
				continue
			}
			if !slices.Contains(allowedArrows[p.ImportPath], imp) {
				t.Errorf("%s imports %s: no such arrow in the design", p.ImportPath, imp)
			}
		}
	}
	for from, arrows := range allowedArrows {
		for _, to := range arrows {
			if !slices.Contains(imports[from], to) {
				t.Errorf("the design has an arrow from %s to %s, which nobody goes: take it out", from, to)
			}
		}
	}
}

// TestEachFolderIsInTheTableOfDevelop: what is below packaging is one row.
func TestEachFolderIsInTheTableOfDevelop(t *testing.T) {
	page, err := os.ReadFile("../docs/develop.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for row := range strings.Lines(string(page)) {
		if cells := strings.Split(row, "|"); len(cells) > 2 && strings.HasPrefix(cells[1], " `") {
			for _, folder := range strings.Split(cells[1], ",") {
				rows[strings.Trim(folder, " `")] = true
			}
		}
	}
	for _, p := range modulePackages(t) {
		folder := strings.TrimPrefix(p.ImportPath, "roomcall/")
		if folder != "agent" && !strings.HasPrefix(folder, "packaging/") && !rows[folder] {
			t.Errorf("docs/develop.md has no row for %s", folder)
		}
		delete(rows, folder)
	}
	for folder := range rows {
		if _, err := os.Stat("../" + folder); err != nil {
			t.Errorf("docs/develop.md has a row for %s, which is not there", folder)
		}
	}
}

func TestNothingImportsTheMainPackage(t *testing.T) {
	for _, p := range modulePackages(t) {
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if imp == "roomcall/agent" {
				t.Errorf("%s imports the main package", p.ImportPath)
			}
		}
	}
}

// fences lists the libraries that belong to one part of the program.
var fences = map[string][]string{
	"go.etcd.io/bbolt":                    {"roomcall/buffer", "roomcall/packaging/bench/compare"},
	"github.com/eclipse/paho":             {"roomcall/publish", "roomcall/packaging/fleet/sim", "roomcall/packaging/bench/compare"},
	"github.com/golang/snappy":            {"roomcall/buffer"},
	"github.com/kardianos/service":        {"roomcall/service"},
	"github.com/coreos/go-systemd":        {"roomcall/service"},
	"github.com/spf13/cobra":              {"roomcall/agent/cli"},
	"github.com/gorilla/websocket":        {"roomcall/publish"},
	"github.com/valyala/fastjson":         {"roomcall/cgi", "roomcall/agent/web"},
	"gopkg.in/natefinch/lumberjack":       {"roomcall/agent/host"},
	"golang.org/x/term":                   {"roomcall/agent/host"},
	"github.com/hashicorp/go-retryable":   {"roomcall/cgi"},
	"github.com/pelletier/go-toml":        {"roomcall/agent/config"},
	"github.com/mochi-mqtt/server":        {"roomcall/packaging/demo", "roomcall/publish/brokertest"},
	"github.com/Shopify/toxiproxy":        {"roomcall/publish/brokertest"},
	"github.com/prometheus/client_golang": {"roomcall/agent/web"},
}

func TestLibrariesStayBehindTheirFences(t *testing.T) {
	for _, p := range modulePackages(t) {
		for _, imp := range p.Imports {
			for lib, homes := range fences {
				if !strings.HasPrefix(imp, lib) {
					continue
				}
				if !slices.ContainsFunc(homes, func(h string) bool { return p.ImportPath == h || strings.HasPrefix(p.ImportPath, h+"/") }) {
					t.Errorf("%s imports %s, which belongs to %v", p.ImportPath, imp, homes)
				}
			}
		}
	}
}

// TestShippedBinaryHasNoTestHelpersAndNoBallast looks at all that the binary links.
func TestShippedBinaryHasNoTestHelpersAndNoBallast(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "roomcall/agent").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		if dep == "testing" || strings.HasPrefix(dep, "github.com/mochi-mqtt") || strings.HasPrefix(dep, "github.com/Shopify") || dep == "roomcall/publish/brokertest" {
			t.Errorf("roomcall/agent links %s", dep)
		}
		if dep == "html/template" || strings.HasPrefix(dep, "github.com/charmbracelet") {
			t.Errorf("roomcall/agent links %s, which makes it more than 1 MB larger: see docs/dependencies.md", dep)
		}
	}
}

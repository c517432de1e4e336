package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const printed = `machine: 2 cores
goos: linux
pkg: roomcall/packaging/bench
BenchmarkFleet-2   	       1	         4.5 cpu-pct	        20.0 late-max-ms
BenchmarkFleet-2   	       1	         9.5 cpu-pct	        10.0 late-max-ms
BenchmarkFleet-2   	       1	         5.5 cpu-pct	        40.0 late-max-ms	         1 skipped	 0 failed
pkg: roomcall/cgi
BenchmarkFleet-16  	     100	       777 cpu-pct
PASS
`

func TestTheMedianOfSeveralRunsCounts(t *testing.T) {
	res := parse([]byte(printed))
	for key, want := range map[string]float64{
		"bench Fleet cpu-pct": 5.5, "bench Fleet late-max-ms": 20, "cgi Fleet cpu-pct": 777,
	} {
		if got, ok := res.median(key); !ok || got != want {
			t.Errorf("%s = %v, %v; want %v", key, got, ok, want)
		}
	}
}

func TestCutLinesGiveNoFigure(t *testing.T) {
	for _, text := range []string{"BenchmarkFleet-2", "pkg: x\nBenchmarkFleet 1 2", "BenchmarkFleet 1 nonsense cpu-pct", "Benchmark"} {
		if res := parse([]byte(text)); len(res.figures) != 0 {
			t.Errorf("%q yields %v", text, res.figures)
		}
	}
}

func TestTheTableGoesBetweenItsMarkers(t *testing.T) {
	dir := t.TempDir()
	doc, results := filepath.Join(dir, "doc.md"), filepath.Join(dir, "results.txt")
	before, after := "# Text\n<!-- begin fleet -->\n", "<!-- end fleet -->\n<!-- begin all -->\nkept\n<!-- end all -->\n"
	save(t, doc, before+"old\n"+after)
	save(t, results, printed)
	var out bytes.Buffer
	if err := run(doc, "fleet", results, &out); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) || strings.Contains(text, "old") {
		t.Errorf("the document around the table changed:\n%s", text)
	}
	for _, want := range []string{
		"- 2 cores\n",
		"| CPU of the agent, fraction of one core | 5.5 % |  |  | `go test",
		"| polls that failed | 0 | none | yes |",
		"| polls skipped because one was still running | 1 | none | no |",
		"| lateness of polls: median | not measured |  |  |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !strings.Contains(out.String(), "20.0 ms") {
		t.Errorf("printed:\n%s", &out)
	}
}

func TestADocumentWithoutMarkersIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	doc, results := filepath.Join(dir, "doc.md"), filepath.Join(dir, "results.txt")
	save(t, results, printed)
	for _, text := range []string{"", "<!-- end fleet -->\n<!-- begin fleet -->\n", "<!-- begin fleet -->\n"} {
		save(t, doc, text)
		if err := run(doc, "fleet", results, new(bytes.Buffer)); err == nil {
			t.Errorf("no error for %q", text)
		}
		if raw, _ := os.ReadFile(doc); string(raw) != text {
			t.Errorf("%q became %q", text, raw)
		}
	}
}

// TestEveryRowCanBeFilled gives every row its figures and checks both verdicts if
// there is an aim.
func TestEveryRowCanBeFilled(t *testing.T) {
	for name, rows := range map[string][]row{"all": allRows, "fleet": fleetRows, "backlog": backlogRows} {
		for _, r := range rows {
			res := results{figures: map[string][]float64{}}
			for _, k := range r.keys {
				res.figures[k] = []float64{1}
			}
			l := judge([]row{r}, res)[0]
			if l.figure == "not measured" || strings.Contains(l.figure, "%!") || l.command == "" {
				t.Errorf("%s: %+v", name, l)
			}
			if (r.aim == "") != (l.met == "") {
				t.Errorf("%s: an aim and a verdict go together: %+v", name, l)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	type verdict struct{ Good, Bad bool }
	for name, got := range map[string]verdict{
		"within":  {within(3)([]float64{3}), within(3)([]float64{3.1})},
		"atMost":  {atMost(0.25)([]float64{1, 4}), atMost(0.25)([]float64{1.1, 4})},
		"atLeast": {atLeast(0.9)([]float64{9, 10}), atLeast(0.9)([]float64{8, 10})},
	} {
		if diff := cmp.Diff(verdict{true, false}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

package cgi

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page that tells how each fact about the endpoint is handled names tests
// and cases. Each must be there, and each case must be named.
func TestEndpointPageNamesTestsAndCasesThatExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "endpoint.md"))
	if err != nil {
		t.Fatal(err)
	}
	sources := readSources(t, "*_test.go") + readSources(t, filepath.Join("cgitest", "*_test.go"))
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1) {
		named[m[1]] = true
	}
	for name := range named {
		if regexp.MustCompile(`^(Test|Fuzz)[A-Z]`).MatchString(name) && !strings.Contains(sources, "func "+name+"(") {
			t.Errorf("docs/endpoint.md names %s, which is no test", name)
		}
	}
	for _, m := range regexp.MustCompile("cases? (`[^;|]*)").FindAllStringSubmatch(string(page), -1) {
		for _, name := range strings.Split(m[1], ",") {
			name = strings.Trim(name, "` ")
			if _, err := os.Stat(filepath.Join("testdata", name, "want.json")); err != nil {
				t.Errorf("docs/endpoint.md names the case %q: %v", name, err)
			}
		}
	}
	for _, name := range caseNames(t) {
		if !named[name] {
			t.Errorf("docs/endpoint.md does not name the case %s", name)
		}
	}
}

func readSources(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("sources %s: %v", pattern, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

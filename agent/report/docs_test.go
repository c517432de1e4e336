package report

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"roomcall/agent/health"
	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
	"roomcall/cgi"
)

// Every key has to be in the users' page: whole, or by the ending that follows
// the media group's name.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/payloads.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, kind := range payload.Kinds() {
		b, err := Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		for key := range object(t, b)["properties"].(map[string]any) {
			for _, g := range payload.GroupNames {
				key = strings.Replace(key, g.Name+"_", "_", 1)
			}
			if !strings.Contains(text, "`"+key+"`") {
				t.Errorf("%s: %s is not in docs/payloads.md", kind, key)
			}
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Birth](), reflect.TypeFor[BirthDevice](), reflect.TypeFor[BirthLimits](), reflect.TypeFor[Health]()} {
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+key+"`") {
				t.Errorf("birth, health: %s is not in docs/payloads.md", key)
			}
		}
	}
	for kind := range severities {
		if !strings.Contains(text, "`"+kind+"`") {
			t.Errorf("%s is not in docs/payloads.md", kind)
		}
	}
}

// servedTable is what the documents of a system serve, as a table.
func servedTable(system string) string {
	var b strings.Builder
	b.WriteString("| part | roomcall | theirs |\n| --- | --- | --- |\n")
	if len(view.Parts(system)) == 1 || system == "zoom" {
		b.Reset()
		b.WriteString("| roomcall | theirs |\n| --- | --- |\n")
		for _, row := range view.Served(system, view.Parts(system)[0]) {
			b.WriteString("| " + row[0] + " | " + row[1] + " |\n")
		}
		return b.String()
	}
	for _, part := range view.Parts(system) {
		for _, row := range view.Served(system, part) {
			b.WriteString("| `" + part + "` | " + row[0] + " | " + row[1] + " |\n")
		}
	}
	return b.String()
}

// The tables of docs/convert.md are those of the code; -update writes them.
func TestTheTablesOfTheSystemsAreThoseOfTheCode(t *testing.T) {
	const file = "../../docs/convert.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, system := range Views() {
		begin, end := "<!-- served "+system+" -->\n", "<!-- end -->\n"
		before, rest, ok := strings.Cut(text, begin)
		if !ok {
			t.Fatalf("%s has no %s", file, begin)
		}
		if i := strings.Index(rest, end); i >= 0 && !strings.Contains(rest[:i], "<!-- served") {
			rest = rest[i+len(end):]
		}
		text = before + begin + servedTable(system) + end + rest
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != strings.ReplaceAll(string(page), "\r\n", "\n") {
		t.Errorf("%s is not what view.Served says; run: go test ./agent/report -run TablesOfTheSystems -update", file)
	}
}

// Every problem that people are shown has its events, or the page says why not; and every
// event is that of a problem, or of a call.
func TestEveryProblemHasItsEvent(t *testing.T) {
	page, err := os.ReadFile("../../docs/payloads.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "### Problems and their events")
	text, _, _ = strings.Cut(text, "\n### ")
	words := regexp.MustCompile("`([a-z_.]+)`")
	events := map[string]string{} // the second column by code
	told := map[string]bool{}
	for line := range strings.Lines(text) {
		columns := strings.Split(line, "|")
		if len(columns) != 4 {
			continue
		}
		for _, m := range words.FindAllStringSubmatch(columns[1], -1) {
			events[m[1]] = columns[2]
		}
		for _, m := range words.FindAllStringSubmatch(columns[2], -1) {
			told[m[1]] = true
		}
	}
	var known struct {
		Properties struct{ Type struct{ Enum []string } }
	}
	schema, err := Schema("event")
	if err == nil {
		err = json.Unmarshal(schema, &known)
	}
	if err != nil {
		t.Fatal(err)
	}
	types := known.Properties.Type.Enum
	for _, code := range append(health.Codes(), "warning") {
		switch column := events[code]; {
		case strings.HasPrefix(strings.TrimSpace(column), "none: "):
		case !slices.ContainsFunc(words.FindAllStringSubmatch(column, -1), func(m []string) bool { return slices.Contains(types, m[1]) }):
			t.Errorf("%s: no event, and no reason why not: %q", code, column)
		}
		delete(events, code)
	}
	if len(events) > 0 {
		t.Errorf("not problems: %v", events)
	}
	for _, typ := range types {
		if !told[typ] && typ != "call.started" && typ != "call.ended" && typ != "agent.started" {
			t.Errorf("%s is of no problem", typ)
		}
	}
}

// Every event of the agent has its words, in each language.
func TestEveryEventOfTheAgentHasItsText(t *testing.T) {
	for kind := range severities {
		for _, lang := range health.Languages {
			r := reporter(t, func(s *Settings) { s.Lang = lang })
			_, records := r.AgentEvent(State{}, day, AgentEvent{
				Type: kind, Device: "room-1", Kind: "sample", FirstSeq: 1, LastSeq: 2, Count: 2, Reason: "max_age", Since: day.Add(-time.Minute),
				Value: cgi.Known(-3), Detail: "17 salvaged",
			})
			m := object(t, records[0].Payload)
			text, _ := m["text"].(string)
			if len(text) < 10 || strings.ContainsAny(text, "{}|") || m["code"] == "" || m["code"] == nil {
				t.Errorf("%s in %s: %v", kind, lang, m)
			}
			if chinese := strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }); chinese != (lang == health.Chinese) {
				t.Errorf("%s in %s: %s", kind, lang, text)
			}
		}
	}
}

// docs/five-systems.md has all rows of the five documents; each that is served names
// tests that exist.
func TestEachServedRowOfTheFiveSystemsHasItsTest(t *testing.T) {
	page, err := os.ReadFile("../../docs/five-systems.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(b, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, states := 0, map[string]int{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 4 || cells[0] == " of the document" || strings.HasPrefix(cells[0], " ---") {
			continue
		}
		state, test := cells[1], strings.Trim(cells[3], " `")
		if state != "exact" && state != "approximate" && state != "absent" {
			continue // the counts
		}
		rows++
		states[state]++
		if state == "absent" {
			if cells[2] == "" {
				t.Errorf("no reason: %s", line)
			}
		} else if !tests[test] {
			t.Errorf("there is no test %q: %s", test, line)
		}
	}
	want := fmt.Sprintf("| all | %d | %d | %d | 407 |", states["exact"], states["approximate"], states["absent"])
	if rows != 407 || !strings.Contains(string(page), want) {
		t.Errorf("%d rows, %v; the page does not say %q", rows, states, want)
	}
}

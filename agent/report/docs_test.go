package report

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
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

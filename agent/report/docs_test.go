package report

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"roomcall/agent/report/payload"
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

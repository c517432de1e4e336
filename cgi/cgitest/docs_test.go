package cgitest

import (
	"os"
	"strings"
	"testing"
)

func TestTheManualListsEachScenarioAndFamilyWithItsText(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulate.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, s := range Scenarios() {
		rows = append(rows, "| `"+s.Name+"` | "+s.Text+" |")
	}
	for _, f := range Families() {
		rows = append(rows, "| `"+f.Name+"` | "+f.Text+" |")
	}
	for _, row := range rows {
		if !strings.Contains(string(page), row+"\n") {
			t.Errorf("docs/simulate.md lacks the row:\n%s", row)
		}
	}
}

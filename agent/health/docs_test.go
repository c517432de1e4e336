package health

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pages for people end with the whole table, in their language.
func TestTroubleshootShowsTheTable(t *testing.T) {
	for _, page := range []struct {
		file  string
		words map[string]words
		head  string
	}{
		{"../../docs/troubleshoot.md", english, "| code | what one reads | next step |"},
		{"../../docs/zh/troubleshoot.md", chinese, "| 代码 | 显示的文字 | 下一步 |"},
	} {
		b, err := os.ReadFile(page.file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		before, rest, ok := strings.Cut(text, "<!-- problems -->\n")
		_, after, end := strings.Cut(rest, "<!-- end -->\n")
		if !ok || !end {
			t.Fatalf("%s has no place for the table", page.file)
		}
		want := before + "<!-- problems -->\n" + page.head + "\n| --- | --- | --- |\n" + rows(page.words) + "<!-- end -->\n" + after
		if *update {
			if err := os.WriteFile(page.file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if want != text {
			t.Errorf("%s is old; go test ./agent/health -run Troubleshoot -update writes it", page.file)
		}
	}
}

// rows has a line for each entry; a text with optional parts is shown whole.
func rows(table map[string]words) string {
	var b strings.Builder
	show := func(text string) string {
		text = strings.ReplaceAll(text, "|", "")
		return regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(text, "*$1*")
	}
	for _, code := range slices.Sorted(maps.Keys(table)) {
		if strings.HasPrefix(code, "room_") {
			continue // a state, not a problem
		}
		b.WriteString("| `" + code + "` | " + show(table[code].what) + " | " + show(table[code].hint) + " |\n")
	}
	return b.String()
}

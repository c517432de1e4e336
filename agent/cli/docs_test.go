package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages are the documents for people, by their name from the root of the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		names, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.ToSlash(strings.TrimPrefix(name, "../../"))] = strings.ReplaceAll(string(b), "\r\n", "\n")
		}
	}
	return out
}

var (
	fenced = regexp.MustCompile("(?ms)^```(\\w*)[^\n]*\n(.*?)^```$")
	inline = regexp.MustCompile("`(roomcall [^`\n]*)`")
	called = regexp.MustCompile(`(?m)(?:^|[|;&(])\s*(?:sudo +)?(?:[A-Z_]+=\S+ +)*(?:bin/)?(roomcall(?:[ \t][^|>&#;)\n]*)?)`)
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// commandLines are the roomcall commands of a page: in its blocks for a shell, with
// lines that go on joined, and between backquotes in its text.
func commandLines(page string) (lines []string) {
	for _, block := range fenced.FindAllStringSubmatch(page, -1) {
		if block[1] != "sh" && block[1] != "bat" && block[1] != "powershell" {
			continue
		}
		for _, m := range called.FindAllStringSubmatch(strings.ReplaceAll(block[2], "\\\n", " "), -1) {
			lines = append(lines, strings.TrimSpace(m[1]))
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// Every command that a page shows is there, with its flags.
func TestDocumentedCommandsExist(t *testing.T) {
	all := 0
	for name, page := range pages(t) {
		for _, line := range commandLines(page) {
			all++
			line, _, _ = strings.Cut(line, " ...")
			var words []string
			for _, word := range regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`).FindAllString(line, -1)[1:] {
				words = append(words, strings.Trim(word, `"'`))
			}
			a := &app{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}
			root := a.root()
			cmd, rest, err := root.Find(words)
			if err == nil && len(rest) > 0 && cmd.HasSubCommands() && !strings.HasPrefix(rest[0], "-") && !placeholder(rest[0]) {
				t.Errorf("%s: `%s`: there is no command %s", name, line, rest[0])
				continue
			}
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil && !strings.Contains(err.Error(), "help requested") {
				t.Errorf("%s: `%s`: %v", name, line, err)
			}
		}
	}
	if all < 80 {
		t.Errorf("only %d commands were found in the pages", all)
	}
}

// placeholder: a word in capitals stands for what the reader chooses.
func placeholder(word string) bool { return strings.ToUpper(word) == word }

// Every link within the documents leads somewhere.
func TestDocumentedLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, page := range all {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat("../../" + file); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
				continue
			}
			if anchor != "" && !anchors(all[file])[anchor] {
				t.Errorf("%s: %s has no heading for #%s", name, file, anchor)
			}
		}
	}
}

// anchors are those of a page's headings, as GitHub and GitLab make them.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(fenced.ReplaceAllString(page, "")) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		out[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading))] = true
	}
	return out
}

// A page and its Chinese counterpart show the same commands, in the same order.
func TestChinesePagesHaveTheSameCommands(t *testing.T) {
	all := pages(t)
	pairs := 0
	for name, chinese := range all {
		original, ok := strings.CutPrefix(name, "docs/zh/")
		original = "docs/" + original
		if name == "README.zh-CN.md" {
			original, ok = "README.md", true
		}
		if !ok || name == "docs/zh/glossary.md" {
			continue
		}
		english, ok := all[original]
		if !ok {
			t.Errorf("%s has no original %s", name, original)
			continue
		}
		pairs++
		want, got := blocks(english), blocks(chinese)
		for i := range max(len(want), len(got)) {
			switch {
			case i >= len(want):
				t.Errorf("%s has a block more than %s:\n%s", name, original, got[i])
			case i >= len(got):
				t.Errorf("%s lacks the block of %s:\n%s", name, original, want[i])
			case want[i] != got[i]:
				t.Errorf("%s, block %d is\n%s\nin %s it is\n%s", name, i+1, got[i], original, want[i])
			default:
				continue
			}
			break
		}
	}
	if pairs < 3 {
		t.Errorf("%d Chinese pages have an original, want README, install and troubleshoot", pairs)
	}
}

// blocks are what a page's blocks show without the comments, which are translated.
func blocks(page string) (out []string) {
	comment := regexp.MustCompile(`(?m)(^|[ \t]+)(#|rem ).*$`)
	for _, m := range fenced.FindAllStringSubmatch(page, -1) {
		if m[1] == "" { // what a program shows, in the language of the page
			continue
		}
		out = append(out, m[1]+"\n"+strings.TrimSpace(comment.ReplaceAllString(m[2], "")))
	}
	return out
}

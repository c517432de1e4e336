package health

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// source is the text of a package, without its tests.
func source(t *testing.T, dir string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*.go"))
	var all strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	if all.Len() == 0 {
		t.Fatalf("%s has no source", dir)
	}
	return all.String()
}

var (
	hintConstant = regexp.MustCompile(`\bhint\w+\s+Hint = "(\w+)"`)
	hintLiteral  = regexp.MustCompile(`(?:\bHint: |\n\s*\w+\.Hint = |\bHint\()"[^"]`)
)

func TestEveryHintThatAnErrorCanHaveHasWords(t *testing.T) {
	for _, dir := range []string{"cgi", "publish"} {
		text := source(t, dir)
		codes := hintConstant.FindAllStringSubmatch(text, -1)
		if len(codes) < 10 {
			t.Errorf("%s: found only %d hints", dir, len(codes))
		}
		for _, code := range codes {
			hint := english[code[1]].hint
			if hint == "" {
				t.Errorf("%s can produce the hint %q, for which there are no words", dir, code[1])
			}
			for _, name := range fact.FindAllString(hint, -1) {
				if !strings.Contains(text, `"`+strings.Trim(name, "{}")+`"`) {
					t.Errorf("the words for %q name %s, which %s never says", code[1], name, dir)
				}
			}
		}
		if found := hintLiteral.FindString(text); found != "" {
			t.Errorf("%s makes a hint without a constant: %s", dir, found)
		}
	}
}

func TestEveryEntryOfTheTableIsUsed(t *testing.T) {
	var all strings.Builder
	for _, dir := range []string{"cgi", "publish", "agent/cli", "agent/run", "agent/drain", "agent/record", "agent/report"} {
		all.WriteString(source(t, dir))
	}
	problems := source(t, "agent/health")
	problems = problems[strings.Index(problems, ") problems("):]
	composed := composedCodes()
	for code, w := range english {
		named := strings.Contains(all.String()+problems, `"`+code+`"`)
		state, ofEndpoint := strings.CutPrefix(code, "endpoint_")
		for _, prefix := range []string{"event_online_", "event_recovered_"} { // and the reason of the event
			if reason, ok := strings.CutPrefix(code, prefix); ok {
				named = named || strings.Contains(all.String(), `"`+reason+`"`)
			}
		}
		if !named && !(ofEndpoint && strings.Contains(all.String(), `"`+state+`"`)) && !slices.Contains(composed, code) {
			t.Errorf("nothing produces %q", code)
		}
		if w.what == "" && w.hint == "" {
			t.Errorf("%q has no words", code)
		}
	}
}

// A language that forgets a word or a fact says less than the others.
func TestEveryLanguageSaysTheSame(t *testing.T) {
	facts := func(text string) []string {
		list := slices.Sorted(slices.Values(fact.FindAllString(text, -1)))
		return slices.Compact(list)
	}
	for code, en := range english {
		zh, ok := chinese[code]
		if !ok {
			t.Errorf("%q has no words in Chinese", code)
			continue
		}
		for _, pair := range [][2]string{{en.what, zh.what}, {en.hint, zh.hint}} {
			if (pair[0] == "") != (pair[1] == "") || !slices.Equal(facts(pair[0]), facts(pair[1])) {
				t.Errorf("%q says\n%s\nand in Chinese\n%s", code, pair[0], pair[1])
			}
		}
		if zh.severity != "" || zh.unready {
			t.Errorf("%q: severity and readiness are those of the English table", code)
		}
	}
	for code := range chinese {
		if _, ok := english[code]; !ok {
			t.Errorf("%q is in Chinese only", code)
		}
	}
	for _, table := range []map[Lang]map[string]string{leftOutWords, whyWords, gradeWords, mediaWords} {
		for word := range table[English] {
			if table[Chinese][word] == "" {
				t.Errorf("%q has no words in Chinese", word)
			}
		}
		if len(table[English]) != len(table[Chinese]) {
			t.Errorf("%d words in English, %d in Chinese", len(table[English]), len(table[Chinese]))
		}
	}
}

func TestAPartOfATextWhoseFactIsNotKnownIsLeftOut(t *testing.T) {
	const text = "it fails| for {since}|: {error}; {since}|, {count} wait"
	for want, facts := range map[string]Facts{
		"it fails":                         nil,
		"it fails for 3s, 0 wait":          {"since": "3s", "count": "0"},
		"it fails for 3s: a|b {error}; 3s": {"since": "3s", "error": "a|b {error}", "count": ""},
		"it fails, 7 wait":                 {"error": "x", "count": "7"},
	} {
		if got := say(text, facts); got != want {
			t.Errorf("%v: %q, want %q", facts, got, want)
		}
	}
}

func TestATroubleSpeaksFromTheTable(t *testing.T) {
	seen := errors.New("permission denied")
	err := fmt.Errorf("check: %w", &Trouble{Code: "store_not_writable", Err: seen})
	if English.Hint(err) != english["store_not_writable"].hint || IsWarning(err) || !errors.Is(err, seen) || err.Error() != "check: permission denied" {
		t.Errorf("%v: hint %q, warning %v", err, English.Hint(err), IsWarning(err))
	}
	step := &Trouble{Code: "clock_step", Facts: Facts{"jump": "forward by 5 s", "ago": "3 s ago"}}
	if !IsWarning(step) || step.Error() != "The clock of this machine jumped forward by 5 s, 3 s ago" || English.Hint(errors.New("x")) != "" {
		t.Errorf("%v, warning %v", step, IsWarning(step))
	}
}

// TestWhatABrokerPunishesHasWords: each extra that publish knows.
func TestWhatABrokerPunishesHasWords(t *testing.T) {
	extras := regexp.MustCompile(`Extra = "([a-z_]+)"`).FindAllStringSubmatch(source(t, "publish"), -1)
	if len(extras) < 11 {
		t.Fatalf("%d extras are found in the source", len(extras))
	}
	for _, extra := range extras {
		if leftOutWords[English][extra[1]] == "" {
			t.Errorf("%s has no words", extra[1])
		}
	}
}

func TestEachStateHasAWord(t *testing.T) {
	for of, states := range map[string][]string{ // as Broker and Buffer list them
		"broker": {"connecting", "connected", "waiting", "refused"}, "store": {"open", "opening", "full", "failed"},
		"proof": {"pending", "proven", "unproven", "failed"},
	} {
		for _, state := range append(states, "") {
			if got := English.State(of, state); got != cmp.Or(state, "unknown") {
				t.Errorf("%s %q is %q", of, state, got)
			}
			if got := Chinese.State(of, state); !strings.ContainsFunc(got, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s %q is %q in Chinese", of, state, got)
			}
		}
	}
	if store, proof := Chinese.State("store", "failed"), Chinese.State("proof", "failed"); store == proof {
		t.Errorf("a store and a proof fail in the same word, %s", store)
	}
}

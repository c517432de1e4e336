package health

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Severity says how much something matters.
type Severity string

const (
	Info     Severity = "info"     // good to know
	Warning  Severity = "warning"  // it works, and wants attention
	Critical Severity = "critical" // data is missing or at risk now
)

// words are what people are told about one thing. {name} stands for a fact. A text
// has parts, separated by |: a part that names a fact which is not known is left out.
type words struct {
	severity Severity // "" = critical
	unready  bool     // the agent cannot do all of its work
	what     string   // "" where an error says it
	hint     string   // the next step
}

// of is the entry of a code: what and hint in the language, the rest from the English table.
func (l Lang) of(code string) words {
	w := english[code]
	if w.severity == "" {
		w.severity = Critical
	}
	if zh, ok := chinese[code]; ok && l == Chinese {
		w.what, w.hint = zh.what, zh.hint
	}
	return w
}

// Facts are the values that a text names, by name; "" = not known.
type Facts map[string]string

var fact = regexp.MustCompile(`\{\w+\}`)

// say fills a text with facts.
func say(text string, facts Facts) string {
	var out strings.Builder
	for part := range strings.SplitSeq(text, "|") {
		known := true
		part = fact.ReplaceAllStringFunc(part, func(name string) string {
			value := facts[strings.Trim(name, "{}")]
			known = known && value != ""
			return value
		})
		if known {
			out.WriteString(part)
		}
	}
	return out.String()
}

// Codes are the codes of all problems, sorted.
func Codes() (list []string) {
	for code, w := range english {
		kind, _, _ := strings.Cut(code, "_")
		if w.what != "" && kind != "room" && kind != "call" && kind != "event" {
			list = append(list, code)
		}
	}
	slices.Sort(list)
	return list
}

// HintFor is the next step for a trouble, by its code; "" = there is none.
func (l Lang) HintFor(code string, facts Facts) string { return say(l.of(code).hint, facts) }

// What says what is the case, by its code; "" = the table has only its next step.
func (l Lang) What(code string, facts Facts) string { return say(l.of(code).what, facts) }

// advised is an error that has a code in the table, with the facts that its texts
// may name.
type advised interface {
	Advice() (code string, facts map[string]string)
}

// Hint is what an error advises the operator to do, "" = nothing.
func (l Lang) Hint(err error) string {
	a := AdviceOf(err)
	return l.HintFor(a.Code, a.Facts)
}

// Advice names the next step: a code of the table with what its words name. The zero
// value is none.
type Advice struct {
	Code  string `json:"code"`
	Facts Facts  `json:"facts,omitempty"`
}

// AdviceOf is what an error advises, in any language.
func AdviceOf(err error) (a Advice) {
	var e advised
	if errors.As(err, &e) {
		a.Code, a.Facts = e.Advice()
	}
	return a
}

// IsWarning reports whether an error only warns: what was tried works, but is
// worth a look.
func IsWarning(err error) bool {
	var e interface{ Warning() bool }
	return errors.As(err, &e) && e.Warning()
}

// Trouble is an error with a code in the table.
type Trouble struct {
	Code  string
	Facts Facts
	Err   error // what was seen; nil = the table's sentence says it
}

// Error says what is wrong, without the hint.
func (t *Trouble) Error() string {
	if t.Err != nil {
		return t.Err.Error()
	}
	return English.What(t.Code, t.Facts)
}

// Unwrap returns the cause.
func (t *Trouble) Unwrap() error { return t.Err }

// Advice is the code in the table, with the facts that its texts may name.
func (t *Trouble) Advice() (code string, facts map[string]string) { return t.Code, t.Facts }

// Warning reports whether the table calls it a warning.
func (t *Trouble) Warning() bool { return English.of(t.Code).severity != Critical }

// Age is a duration in words of two units at most: "12s", "3m05s", "2d4h".
func Age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, h, m, s := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, h)
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// Ago is the age of t in words, "-" for a time that is not known.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Age(now.Sub(t)) + " ago"
}

// Bytes is a size in words, with units of 1024: "256 MiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + [...]string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
}

// Records counts in words: "1 record", "2 records".
func Records[N int | uint64](n N) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// State is a state of the broker, the store or the delivery proof (of: broker, store,
// proof) in a word; "" is unknown.
func (l Lang) State(of, state string) string {
	state = cmp.Or(state, "unknown")
	words := stateWords[l]
	return cmp.Or(words[of+"_"+state], words[state], state)
}

// Sentences joins a sentence and its next step for a text of one line; either may be "".
func (l Lang) Sentences(what, hint string) string {
	what = strings.TrimSpace(what)
	if hint != "" {
		first, size := utf8.DecodeRuneInString(hint)
		hint = string(unicode.ToUpper(first)) + hint[size:]
	}
	end, gap := ".", " "
	if l == Chinese {
		end, gap = "。", ""
	}
	for _, text := range []*string{&what, &hint} {
		if *text != "" && !strings.ContainsRune(".。!！?？", []rune(*text)[len([]rune(*text))-1]) {
			*text += end
		}
	}
	if what == "" || hint == "" {
		gap = ""
	}
	return what + gap + hint
}

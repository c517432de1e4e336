package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxSyntaxErrors bounds how many syntax errors one file reports.
const maxSyntaxErrors = 20

// parser turns one file into a tree. It goes on after a syntax error at the
// next line that looks like a key or a table, so that one wrong line does not
// hide the others.
type parser struct {
	file  string
	data  []byte
	base  int   // offset in data of what the TOML parser was given
	lines []int // offset of each line's start
	toml  unstable.Parser

	root, table *node
	full        bool // a table has too many keys: the rest is not read
	skip        bool // the table's header is broken: its keys belong nowhere
	errs        Errors
}

// parseTOML gives the tree and every syntax error. The tree is never nil.
func parseTOML(file string, data []byte) (*node, Errors) {
	p := &parser{file: file, root: &node{kind: kindTable, file: file, header: true}}
	p.table = p.root
	p.data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p.lines = lineStarts(p.data)
	if e := p.checkEncoding(); e != nil {
		return p.root, Errors{e}
	}
	if e := p.checkFormat(); e != nil {
		return p.root, Errors{e}
	}
	p.toml.Reset(p.data)
	for {
		for !p.full && p.toml.NextExpression() {
			p.expression(p.toml.Expression())
		}
		if p.full || p.toml.Error() == nil || !p.recover() {
			break
		}
	}
	if len(p.errs) == 0 {
		p.secondOpinion()
	}
	return p.root, p.errs
}

func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// lineAt gives the line, from 1, of an offset in the file.
func (p *parser) lineAt(offset int) int {
	return sort.SearchInts(p.lines, offset+1)
}

func (p *parser) checkEncoding() *Error {
	if bytes.HasPrefix(p.data, []byte{0xff, 0xfe}) || bytes.HasPrefix(p.data, []byte{0xfe, 0xff}) {
		return p.errorAt(0, "", "the file is UTF-16", "save it as UTF-8")
	}
	if off := bytes.IndexByte(p.data, 0); off >= 0 { // UTF-16 without its mark is full of them
		return p.errorAt(p.lineAt(off), "", "a NUL byte: the file is no text, or it is UTF-16", "save it as UTF-8")
	}
	for off := 0; off < len(p.data); {
		r, size := utf8.DecodeRune(p.data[off:])
		if r == utf8.RuneError && size == 1 {
			return p.errorAt(p.lineAt(off), "", "invalid UTF-8", "save the file as UTF-8")
		}
		off += size
	}
	return nil
}

func (p *parser) errorAt(line int, key, problem, hint string) *Error {
	return &Error{Place: Place{File: p.file, Line: line, Key: key}, Problem: problem, Hint: hint}
}

func (p *parser) fail(line int, key, format string, args ...any) {
	p.errs = append(p.errs, p.errorAt(line, key, fmt.Sprintf(format, args...), ""))
}

// recover records the syntax error and sets the parser onto the next line that
// looks like a beginning. False means that the file is at its end.
func (p *parser) recover() bool {
	line := p.errorLine()
	text := p.lineText(line)
	start := looseStart
	if strings.Contains(p.toml.Error().Error(), "multiline") {
		start = strictStart
	}
	e := p.errorAt(line, "", syntaxText(p.toml.Error().Error()), syntaxHint(text))
	p.errs = append(p.errs, e)
	if len(p.errs) >= maxSyntaxErrors {
		return false
	}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		p.skip = true
	}
	for ; line < len(p.lines); line++ { // lines[line] is the line after
		if start.MatchString(p.lineText(line + 1)) {
			p.base = p.lines[line]
			p.toml.Reset(p.data[p.base:])
			return true
		}
	}
	return false
}

// strictStart is a line that can be nothing but a table or a key, looseStart
// also one that goes wrong later; elements of a list are neither.
var (
	strictStart = regexp.MustCompile(`^\s*(\[\[?[A-Za-z0-9_."'-]+\]|[A-Za-z0-9_."'-]+\s*=)`)
	looseStart  = regexp.MustCompile(`^\s*(\[\[?\s*[A-Za-z_]|[A-Za-z_=]|"[^"]*"\s*=)`)
)

// errorLine is where the syntax error is; for a text of several lines that is
// never closed, where it begins.
func (p *parser) errorLine() int {
	var pe *unstable.ParserError
	if !errors.As(p.toml.Error(), &pe) || pe.Highlight == nil {
		return p.lineAt(p.base)
	}
	off := p.base + int(p.toml.Range(pe.Highlight).Offset)
	for _, mark := range []string{`"""`, "'''"} {
		if strings.Contains(pe.Message, "not terminated by "+mark) {
			off = max(bytes.LastIndex(p.data, []byte(mark)), p.base)
		}
	}
	return p.lineAt(off)
}

func (p *parser) lineText(line int) string {
	if line < 1 || line > len(p.lines) {
		return ""
	}
	end := len(p.data)
	if line < len(p.lines) {
		end = p.lines[line] - 1
	}
	return string(p.data[p.lines[line-1]:end])
}

var (
	gotChar   = regexp.MustCompile(`(?: but got)?:? U\+[0-9A-F]{4,8}(?: '.*')?$`)
	namedChar = regexp.MustCompile(`character U\+[0-9A-F]{4,8}(?: '.*')?`)
)

// syntaxText says what the TOML parser found without any character of the
// file: the line may hold a secret.
func syntaxText(msg string) string {
	msg = strings.TrimPrefix(msg, "toml: ")
	switch {
	case strings.HasPrefix(msg, "unexpected character") && strings.HasSuffix(msg, "at start of value"):
		msg = "a value cannot start like this; text stands in quotes"
	case msg == "basic strings cannot have new lines", msg == "literal strings cannot have new lines":
		msg = "the text is not closed by a quote on its line"
	}
	msg = gotChar.ReplaceAllString(msg, "")
	return "syntax error: " + strings.TrimSpace(namedChar.ReplaceAllString(msg, "character"))
}

// syntaxHint helps with the commonest slip: a Windows path in double quotes.
func syntaxHint(line string) string {
	if _, after, ok := strings.Cut(line, `"`); ok && strings.Contains(after, `\`) {
		return `a backslash in "..." begins an escape; write a Windows path in single quotes: 'C:\folder\file'`
	}
	return ""
}

// secondOpinion lets the strict decoder judge what the walk does not: number
// and date syntax, tables that are opened twice in a roundabout way.
func (p *parser) secondOpinion() {
	var all map[string]any
	err := toml.Unmarshal(p.data, &all)
	if err == nil {
		return
	}
	line := 0
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, _ = de.Position()
	}
	p.errs = append(p.errs, p.errorAt(line, "", syntaxText(err.Error()), ""))
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// FormatVersion is the version of agent.toml's format that this program reads.
// It rises when a key changes its meaning or goes away; a new key alone leaves it.
const FormatVersion = 1

const (
	maxDepth     = 16   // names and list indexes in the path of a key
	maxTableKeys = 1000 // the TOML decoder's time is quadratic in the keys of one table
)

// document is one TOML file: the tree that the library decodes, and where in
// the file its keys, its texts and its comments are.
//
// The path of a key is its names joined by dots, and [2] for the second element
// of a list: "mqtt.broker[2]", "endpoint[1].url".
type document struct {
	file string
	data []byte // without a byte order mark
	mode fs.FileMode
	tree map[string]any

	line     map[string]int // by path, from 1; tables and elements of lists too
	texts    []textValue
	comments []span

	starts    []int          // offset of each line
	endpoints int            // [[endpoint]] tables up to here, those of earlier files included
	keys      map[string]int // number of keys by the path of their table
	tooMuch   *Error         // a bound that the file passes
}

// span is a piece of a file.
type span struct{ from, to int }

// textValue is a value in quotes.
type textValue struct {
	span
	path string
	text string // without quotes and escapes
	line int
	// key is the offset of the key if key and text have lines to themselves,
	// else -1.
	key int
}

// parse decodes and indexes a file. Its [[endpoint]] tables are counted on from
// endpoints. An error means that nothing of the file can be used.
func parse(file string, data []byte, mode fs.FileMode, endpoints int) (*document, *Error) {
	d := &document{file: file, data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), mode: mode, endpoints: endpoints,
		line: map[string]int{}, starts: []int{0}, keys: map[string]int{}}
	for i, c := range d.data {
		if c == '\n' {
			d.starts = append(d.starts, i+1)
		}
	}
	for _, check := range []func() *Error{d.checkEncoding, d.checkFormat, d.index, d.decode} {
		if e := check(); e != nil {
			return d, e
		}
	}
	return d, nil
}

func (d *document) errorAt(line int, problem, hint string) *Error {
	return &Error{Place: Place{File: d.file, Line: line}, Problem: problem, Hint: hint}
}

// lineAt returns the line of an offset.
func (d *document) lineAt(offset int) int {
	i, _ := slices.BinarySearch(d.starts, offset+1)
	return i
}

func (d *document) checkEncoding() *Error {
	if bytes.HasPrefix(d.data, []byte{0xff, 0xfe}) || bytes.HasPrefix(d.data, []byte{0xfe, 0xff}) {
		return d.errorAt(0, "the file is UTF-16", "save it as UTF-8")
	}
	if at := bytes.IndexByte(d.data, 0); at >= 0 { // UTF-16 without its mark is full of them
		return d.errorAt(d.lineAt(at), "a NUL byte: the file is not text, or it is UTF-16", "save it as UTF-8")
	}
	for at := 0; at < len(d.data); {
		r, size := utf8.DecodeRune(d.data[at:])
		if r == utf8.RuneError && size == 1 {
			return d.errorAt(d.lineAt(at), "invalid UTF-8", "save the file as UTF-8")
		}
		at += size
	}
	return nil
}

// formatLine is the comment that names the version, among the comments before
// the first key. It is a comment because the keys are fixed; a file without it
// counts as version 1.
var formatLine = regexp.MustCompile(`^#[ \t]*roomcall config format[ \t]+([0-9]{1,9})[ \t\r]*$`)

// checkFormat refuses a file that was written for a newer program, before its
// unknown keys are listed one by one.
func (d *document) checkFormat() *Error {
	line := 0
	for text := range bytes.Lines(d.data) {
		line++
		text = bytes.TrimSpace(text)
		if len(text) > 0 && text[0] != '#' {
			return nil
		}
		m := formatLine.FindSubmatch(text)
		if m == nil {
			continue
		}
		if version, err := strconv.Atoi(string(m[1])); err != nil || version > FormatVersion || version < 1 {
			e := d.errorAt(line, "written for another version of roomcall", "upgrade roomcall, or use the config of this version")
			e.Found, e.Allowed = fmt.Sprintf("config format %s", m[1]), fmt.Sprintf("at most config format %d", FormatVersion)
			return e
		}
	}
	return nil
}

func (d *document) decode() *Error {
	err := toml.Unmarshal(d.data, &d.tree)
	if err == nil {
		return nil
	}
	line := 0
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, _ = de.Position()
	}
	return d.errorAt(line, syntaxText(err.Error()), d.syntaxHint(line))
}

// quoted is what the library's errors quote of a file.
var quoted = regexp.MustCompile(`(:? but got)?:? U\+[0-9A-F]{4,8}( '.*')?|: strconv\..*`)

// syntaxText is what the library found, without any character of a value: it
// may be a secret.
func syntaxText(msg string) string {
	msg = strings.TrimPrefix(msg, "toml: ")
	switch {
	case strings.HasPrefix(msg, "unexpected character") && strings.HasSuffix(msg, "at start of value"):
		msg = "a value cannot start like this; text needs quotes"
	case msg == "basic strings cannot have new lines", msg == "literal strings cannot have new lines":
		msg = "the text is not closed by a quote on its line"
	}
	msg, cut := cutRunes(quoted.ReplaceAllString(msg, ""), 200) // it may hold a long key
	if cut {
		msg += "..."
	}
	return "syntax error: " + msg
}

// syntaxHint helps with the commonest slip: a Windows path in double quotes.
func (d *document) syntaxHint(line int) string {
	if line < 1 || line > len(d.starts) {
		return ""
	}
	text, _, _ := strings.Cut(string(d.data[d.starts[line-1]:]), "\n")
	if _, after, ok := strings.Cut(text, `"`); ok && strings.Contains(after, `\`) {
		return `a backslash in "..." begins an escape; write a Windows path in single quotes: 'C:\folder\file'`
	}
	return ""
}

// index notes where everything is. Syntax errors are left to the decoder.
func (d *document) index() *Error {
	var p unstable.Parser
	p.KeepComments = true
	p.Reset(d.data)
	table := ""
	for d.tooMuch == nil && p.NextExpression() {
		for n := p.Expression(); n.Valid(); n = n.Next() {
			switch n.Kind {
			case unstable.Table, unstable.ArrayTable:
				table = d.below("", n.Key())
				if table == "endpoint" {
					table = d.nextEndpoint(d.lineAt(int(n.Child().Raw.Offset)))
				}
			case unstable.KeyValue:
				d.keyValue(table, n, int(n.Raw.Offset))
			case unstable.Comment:
				d.comments = append(d.comments, spanOf(n))
			}
		}
	}
	return d.tooMuch
}

// below returns the path of a key below a table, and notes it and the tables on
// the way.
func (d *document) below(path string, key unstable.Iterator) string {
	for key.Next() {
		if path == "endpoint" {
			path = fmt.Sprintf("endpoint[%d]", d.endpoints)
		}
		line, table := d.lineAt(int(key.Node().Raw.Offset)), path
		path = join(path, string(key.Node().Data))
		if d.note(path, line) {
			d.keys[table]++
		}
		if d.keys[table] > maxTableKeys {
			d.tooMuch = d.errorAt(line, fmt.Sprintf("more than %d keys in one table", maxTableKeys), "")
		}
		if d.tooMuch != nil {
			break
		}
	}
	return path
}

// join adds a name to a path. A name that looks like a path is quoted.
func join(path, name string) string {
	if strings.ContainsAny(name, ".[") {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// note remembers the line of a path and reports whether the path is a new one.
func (d *document) note(path string, line int) bool {
	if strings.Count(path, ".")+strings.Count(path, "[") >= maxDepth {
		d.tooMuch = d.errorAt(line, fmt.Sprintf("a key of more than %d parts", maxDepth), "")
		return false
	}
	_, old := d.line[path]
	if !old {
		d.line[path] = line
	}
	return !old
}

func (d *document) nextEndpoint(line int) string {
	d.endpoints++
	path := fmt.Sprintf("endpoint[%d]", d.endpoints)
	d.note(path, line)
	return path
}

func (d *document) keyValue(table string, n *unstable.Node, key int) {
	path := d.below(table, n.Key())
	if d.tooMuch == nil {
		d.value(path, n.Value(), d.line[path], key)
	}
}

func (d *document) value(path string, n *unstable.Node, line, key int) {
	switch n.Kind {
	case unstable.String:
		d.texts = append(d.texts, textValue{spanOf(n), path, string(n.Data), line, key})
	case unstable.InlineTable:
		if path == "endpoint" {
			path = d.nextEndpoint(line)
		}
		for kv := range d.children(n) {
			d.keyValue(path, kv, -1)
		}
	case unstable.Array:
		i := 0
		for item := range d.children(n) {
			at, inner := line, path
			if item.Raw.Length > 0 { // a list in a list has no place of its own
				at = d.lineAt(int(item.Raw.Offset))
			}
			if i++; path != "endpoint" || item.Kind != unstable.InlineTable {
				inner = fmt.Sprintf("%s[%d]", path, i)
				d.note(inner, at)
			}
			d.value(inner, item, at, -1)
		}
	}
}

// children are the elements of a list or an inline table; the comments between
// them are noted.
func (d *document) children(n *unstable.Node) iter.Seq[*unstable.Node] {
	return func(yield func(*unstable.Node) bool) {
		for it := n.Children(); it.Next() && d.tooMuch == nil; {
			if c := it.Node(); c.Kind == unstable.Comment {
				d.comments = append(d.comments, spanOf(c))
			} else if !yield(c) {
				return
			}
		}
	}
}

func spanOf(n *unstable.Node) span {
	return span{int(n.Raw.Offset), int(n.Raw.Offset + n.Raw.Length)}
}

// isSecret tells whether the value is that of a secret key, in whatever table.
func (v *textValue) isSecret() bool {
	return v.text != "" && isSecret(v.path[strings.LastIndexByte(v.path, '.')+1:])
}

var (
	secretComment = regexp.MustCompile(`(?i)((?:password|passwd|secret|token)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,}]+)`)
	urlCredential = regexp.MustCompile(`(://)[^/@\s"']*@`)
)

// redacted returns the file with every password replaced, and what looks like
// one in a comment.
func (d *document) redacted() []byte {
	cuts := map[span]string{}
	for _, v := range d.texts {
		if v.isSecret() {
			cuts[v.span] = `"` + redacted + `"`
		}
	}
	for _, c := range d.comments {
		text := secretComment.ReplaceAllString(string(d.data[c.from:c.to]), "${1}\""+redacted+"\"")
		cuts[c] = urlCredential.ReplaceAllString(text, "${1}"+redacted+"@")
	}
	return replace(d.data, cuts)
}

// replace returns the data with pieces of it replaced; they do not overlap.
func replace(data []byte, pieces map[span]string) []byte {
	var out []byte
	at := 0
	for _, p := range slices.SortedFunc(maps.Keys(pieces), func(a, b span) int { return a.from - b.from }) {
		out = append(append(out, data[at:p.from]...), pieces[p]...)
		at = p.to
	}
	return append(out, data[at:]...)
}

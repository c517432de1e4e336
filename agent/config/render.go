package config

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"roomcall/durable"
)

const (
	maxRoomsBytes = 16 << 20
	maxRooms      = 100000
	// maxRenderErrors bounds what Render reports: a wrong template is wrong in
	// every room.
	maxRenderErrors = 50
)

// RenderOptions steer Render.
type RenderOptions struct {
	// AllowSecrets lets passwords of the template or the CSV into the
	// rendered files, which then are readable by their owner alone.
	AllowSecrets bool
}

// Rendered tells what Render wrote.
type Rendered struct {
	Files    []string // in the order of the CSV
	Warnings []Warning
}

// Render writes one config for each room, OUT/<client_id>/agent.toml, from a CSV
// whose first line names the columns and a template with {{column}} in its texts.
// Every config is checked as Load would check it on its machine, and client ids
// must differ, before anything is written; each file is replaced whole or not
// at all. The error is an Errors when the template or the CSV is at fault.
func Render(roomsCSV, templatePath, out string, opts RenderOptions) (done Rendered, err error) {
	data, _, err := readBounded(templatePath, maxFileBytes)
	if err != nil {
		return done, Errors{{Place: Place{File: templatePath}, Problem: "read template: " + reason(err), Err: err}}
	}
	r, errs := readRooms(roomsCSV)
	t, e := parse(templatePath, data, 0, 0)
	if e != nil {
		errs = append(Errors{e}, errs...)
	}
	if len(errs) == 0 {
		done.Warnings, errs = t.checkColumns(r, opts)
	}
	if len(errs) > 0 {
		return done, errs
	}

	texts := map[string][]byte{} // of the rooms' files
	lines := map[string]int{}    // of the CSV, by client_id
	warned := map[Warning]bool{} // the same warning comes from many rooms
	for _, room := range r.rooms {
		text := t.fill(room.cells)
		c, warnings, err := LoadText(t.file, text, elsewhere)
		var wrong Errors
		if errors.As(err, &wrong) {
			for _, e := range wrong {
				e.File = fmt.Sprintf("%s:%d: %s", r.file, room.line, e.File)
				errs = append(errs, e)
			}
			continue
		}
		id := c.Agent.ClientID
		switch {
		case strings.Contains(id, "${"):
			return done, append(errs, r.errorAt(room.line, "client_id comes from the environment", "the folder needs a name that is known now"))
		case lines[id] != 0:
			errs = append(errs, r.errorAt(room.line, fmt.Sprintf("client_id %q is in line %d already", id, lines[id]), ""))
			continue
		}
		lines[id] = room.line
		for _, w := range warnings {
			if !warned[w] {
				warned[w] = true
				done.Warnings = append(done.Warnings, w)
			}
		}
		path := filepath.Join(out, id, "agent.toml")
		done.Files, texts[path] = append(done.Files, path), text
	}
	if len(errs) > 0 {
		done.Files = nil
		return done, errs.bound(maxRenderErrors)
	}

	old, _ := filepath.Glob(filepath.Join(out, "*", "agent.toml")) // a folder whose name is not a pattern lists nothing
	for _, path := range old {
		if texts[path] == nil {
			done.Warnings = append(done.Warnings, Warning{Place{File: path}, "written earlier, not in the CSV any more; it was not touched"})
		}
	}
	mode := os.FileMode(0o644)
	if opts.AllowSecrets {
		mode = 0o600
	}
	for i, path := range done.Files {
		err = durable.MkdirAll(durable.OS, filepath.Dir(path), 0o755)
		if err == nil {
			err = durable.WriteFile(path, texts[path], mode)
		}
		if err != nil {
			done.Files = done.Files[:i]
			return done, fmt.Errorf("write %s: %w", path, err)
		}
	}
	return done, nil
}

// elsewhere judges without this machine's name, variables and files.
var elsewhere = Options{
	Elsewhere: true,
	LookupEnv: func(string) (string, bool) { return "", false },
	Hostname:  func() (string, error) { return "", errors.New("the config is for another machine") },
}

var (
	// placeholder is {{column}}. Outside of texts in quotes there are none: a cell
	// always becomes a text and never TOML.
	placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}`)
	columnName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	// secretColumn is a name that promises a secret in the column, unless it is the
	// name of a file.
	secretColumn = regexp.MustCompile(`(?i)pass|secret|token`)
	fileColumn   = regexp.MustCompile(`(?i)_?file$`)
	onlyVariable = regexp.MustCompile(`^\$\{[^{}]*\}$`)
)

const secretHint = "use password_file, or password = \"${NAME}\""

// checkColumns wants every placeholder of a template to be a column, and no
// secret that was not allowed.
func (t *document) checkColumns(r rooms, opts RenderOptions) (warnings []Warning, errs Errors) {
	used := map[string]bool{}
	for _, v := range t.texts {
		if strings.Contains(placeholder.ReplaceAllString(v.text, ""), "{{") {
			e := t.errorAt(v.line, "{{ begins a placeholder that is not well formed", "")
			e.Allowed = "{{column}}"
			errs = append(errs, e)
		}
		for _, m := range placeholder.FindAllStringSubmatch(v.text, -1) {
			used[m[1]] = true
			if !slices.Contains(r.columns, m[1]) {
				hint := didYouMean(m[1], r.columns)
				if hint == "" {
					hint = "its columns are " + strings.Join(r.columns, ", ")
				}
				errs = append(errs, t.errorAt(v.line, "{{"+m[1]+"}} is not a column of "+r.file, hint))
			}
		}
		if v.isSecret() && !onlyVariable.MatchString(v.text) && !opts.AllowSecrets {
			errs = append(errs, t.errorAt(v.line, "a password would be in every file", secretHint))
		}
	}
	for _, c := range r.columns {
		if !used[c] {
			warnings = append(warnings, Warning{Place{File: r.file, Line: 1}, fmt.Sprintf("the template does not use column %q", c)})
		}
		if secretColumn.MatchString(c) && !fileColumn.MatchString(c) && !opts.AllowSecrets {
			errs = append(errs, r.errorAt(1, fmt.Sprintf("column %q looks like a secret", c), secretHint))
		}
	}
	return warnings, errs
}

// fill puts a room's cells into a template. Where a text is one placeholder and
// nothing else, on a line of its own, an empty cell comments the line out, so
// that the default holds. The lines stay where they are.
func (t *document) fill(cells map[string]string) []byte {
	pieces := map[span]string{}
	for _, v := range t.texts {
		if !strings.Contains(v.text, "{{") {
			continue
		}
		text := placeholder.ReplaceAllStringFunc(v.text, func(m string) string {
			cell := cells[placeholder.FindStringSubmatch(m)[1]]
			return strings.ReplaceAll(cell, "${", "$${")
		})
		alone := v.key >= 0 && placeholder.FindString(v.text) == v.text && !strings.Contains(string(t.data[v.from:v.to]), "\n")
		if text == "" && alone {
			pieces[span{v.key, v.to}] = "# " + string(t.data[v.key:v.from]) + `""`
		} else {
			pieces[v.span] = quoteTOML(text)
		}
	}
	return replace(t.data, pieces)
}

// rooms is a CSV with a header line; the names in it are the placeholders.
type rooms struct {
	file    string
	columns []string
	rooms   []room
}

type room struct {
	line  int // of the CSV
	cells map[string]string
}

func (r *rooms) errorAt(line int, problem, hint string) *Error {
	return &Error{Place: Place{File: r.file, Line: line}, Problem: problem, Hint: hint}
}

// readRooms reads the CSV. The separator is a comma, or the semicolon or tab that
// spreadsheet programs write in some countries; a line of empty cells is skipped.
func readRooms(file string) (rooms, Errors) {
	r := rooms{file: file}
	data, _, err := readBounded(file, maxRoomsBytes)
	if err != nil {
		return r, Errors{{Place: Place{File: file}, Problem: "read rooms: " + reason(err), Err: err}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return r, Errors{r.errorAt(0, "the file is not UTF-8", `save it as "CSV UTF-8" in the spreadsheet program`)}
	}
	in := csv.NewReader(bytes.NewReader(data))
	in.TrimLeadingSpace = true
	header, _, _ := bytes.Cut(data, []byte("\n"))
	for _, c := range "\t;," { // a comma in the header decides
		if bytes.ContainsRune(header, c) {
			in.Comma = c
		}
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var pe *csv.ParseError
		if errors.As(err, &pe) {
			return r, Errors{r.errorAt(pe.Line, "read rooms: "+pe.Err.Error(), "")}
		}
		line, _ := in.FieldPos(0)
		if r.columns == nil {
			if errs := r.setColumns(cells); len(errs) > 0 {
				return r, errs
			}
			continue
		}
		if len(r.rooms) == maxRooms {
			return r, Errors{r.errorAt(line, fmt.Sprintf("more than %d rooms", maxRooms), "")}
		}
		if strings.TrimSpace(strings.Join(cells, "")) != "" {
			r.rooms = append(r.rooms, room{line, map[string]string{}})
			for i, c := range cells {
				r.rooms[len(r.rooms)-1].cells[r.columns[i]] = strings.TrimSpace(c)
			}
		}
	}
	switch {
	case r.columns == nil:
		return r, Errors{r.errorAt(0, "the file is empty", "the first line names the columns")}
	case len(r.rooms) == 0:
		return r, Errors{r.errorAt(0, "no room below the header line", "")}
	}
	return r, nil
}

func (r *rooms) setColumns(header []string) (errs Errors) {
	for _, name := range header {
		name = strings.TrimSpace(name)
		switch {
		case !columnName.MatchString(name):
			e := r.errorAt(1, "column name", "the first line names the columns")
			e.Found, e.Allowed = quote(name), "letters, digits, \"_\" and \"-\", beginning with a letter"
			errs = append(errs, e)
		case slices.Contains(r.columns, name):
			errs = append(errs, r.errorAt(1, fmt.Sprintf("column %q is there twice", name), ""))
		}
		r.columns = append(r.columns, name)
	}
	return errs
}

package config

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	maxRoomsBytes = 16 << 20
	maxRooms      = 100000
)

// rooms is a CSV with a header line; its names are the placeholders.
type rooms struct {
	path    string
	columns []string
	rows    []room
}

// room is one line of the CSV.
type room struct {
	line  int
	cells map[string]string
}

var columnName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// secretColumn is a name that promises a secret in the column; a file's name
// is none.
var (
	secretColumn = regexp.MustCompile(`(?i)pass|secret|token`)
	fileColumn   = regexp.MustCompile(`(?i)_?file$`)
)

func readRooms(path string) (rooms, Errors) {
	r := rooms{path: path}
	data, _, err := readBounded(path, maxRoomsBytes)
	if err != nil {
		return r, Errors{{Place: Place{File: path}, Problem: "read rooms: " + reason(err), Err: err}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return r, Errors{{Place: Place{File: path}, Problem: "the file is not UTF-8",
			Hint: `save it as "CSV UTF-8" in the spreadsheet program`}}
	}
	in := csv.NewReader(bytes.NewReader(data))
	in.Comma = separator(data)
	in.TrimLeadingSpace = true
	return r, r.read(in)
}

// separator is what parts the names of the header line: a comma, or the
// semicolon or tab that spreadsheet programs write in some countries.
func separator(data []byte) rune {
	header, _, _ := bytes.Cut(data, []byte("\n"))
	for _, c := range ",;\t" {
		if bytes.ContainsRune(header, c) {
			return c
		}
	}
	return ','
}

func (r *rooms) read(in *csv.Reader) Errors {
	header, err := in.Read()
	if err != nil {
		return Errors{r.csvError(err)}
	}
	if errs := r.setColumns(header); len(errs) > 0 {
		return errs
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Errors{r.csvError(err)}
		}
		line, _ := in.FieldPos(0)
		r.add(line, cells)
		if len(r.rows) > maxRooms {
			return Errors{r.at(line, fmt.Sprintf("more than %d rooms", maxRooms), "")}
		}
	}
	if len(r.rows) == 0 {
		return Errors{r.at(0, "no room below the header line", "")}
	}
	return nil
}

func (r *rooms) at(line int, problem, hint string) *Error {
	return &Error{Place: Place{File: r.path, Line: line}, Problem: problem, Hint: hint}
}

func (r *rooms) csvError(err error) *Error {
	if errors.Is(err, io.EOF) {
		return r.at(0, "the file is empty", "the first line names the columns")
	}
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return r.at(pe.Line, "read rooms: "+pe.Err.Error(), "")
	}
	return r.at(0, "read rooms: "+err.Error(), "")
}

func (r *rooms) setColumns(header []string) (errs Errors) {
	seen := map[string]bool{}
	for _, name := range header {
		name = strings.TrimSpace(name)
		switch {
		case !columnName.MatchString(name):
			e := r.at(1, "column name", "the first line names the columns")
			e.Found, e.Allowed = quote(name), "letters, digits, \"_\" and \"-\", beginning with a letter"
			errs = append(errs, e)
		case seen[name]:
			errs = append(errs, r.at(1, fmt.Sprintf("column %q stands here twice", name), ""))
		}
		seen[name] = true
		r.columns = append(r.columns, name)
	}
	return errs
}

// add takes a line over; one whose cells are all empty is skipped.
func (r *rooms) add(line int, cells []string) {
	row := room{line, map[string]string{}}
	empty := true
	for i, c := range cells {
		c = strings.TrimSpace(c)
		row.cells[r.columns[i]] = c
		empty = empty && c == ""
	}
	if !empty {
		r.rows = append(r.rows, row)
	}
}

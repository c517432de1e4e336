package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"roomcall/durable"
)

// maxRenderErrors bounds what Render reports: a wrong template is wrong in
// every room.
const maxRenderErrors = 50

// RenderOptions steer Render.
type RenderOptions struct {
	// AllowSecrets takes passwords from the template or the CSV into the
	// rendered files, which then are readable by their owner alone.
	AllowSecrets bool
}

// Rendered tells what Render wrote.
type Rendered struct {
	Files    []string // in the order of the CSV
	Warnings []Warning
}

// renderedRoom is a checked config that is not written yet.
type renderedRoom struct {
	path string
	text []byte
	line int
}

// Render writes one config a room: OUT/<client_id>/agent.toml, from a CSV whose
// first line names the columns and a template with {{column}} in its texts.
// Every config is checked as Load would check it on its machine, and client ids
// must differ, before anything is written; each file is replaced whole or not
// at all. The error is an Errors when the template or the CSV is at fault.
func Render(roomsCSV, templatePath, out string, opts RenderOptions) (Rendered, error) {
	var done Rendered
	data, _, err := readBounded(templatePath, maxFileBytes)
	if err != nil {
		return done, Errors{{Place: Place{File: templatePath}, Problem: "read template: " + reason(err), Err: err}}
	}
	t, errs := parseTemplate(templatePath, data)
	r, more := readRooms(roomsCSV)
	if errs = append(errs, more...); len(errs) > 0 {
		return done, errs
	}
	done.Warnings, errs = checkTemplate(t, r, opts)
	if len(errs) > 0 {
		return done, errs
	}
	list, errs := renderAll(t, r, out, &done)
	if len(errs) > 0 {
		return done, errs.bound(maxRenderErrors)
	}
	done.Warnings = append(done.Warnings, staleFolders(out, list)...)
	return done, writeAll(list, opts, &done)
}

func checkTemplate(t template, r rooms, opts RenderOptions) ([]Warning, Errors) {
	used, errs := t.check(r)
	var warnings []Warning
	for _, c := range r.columns {
		if !used[c] {
			warnings = append(warnings, Warning{Place{File: r.path, Line: 1}, fmt.Sprintf("the template does not use column %q", c)})
		}
		if secretColumn.MatchString(c) && !fileColumn.MatchString(c) && !opts.AllowSecrets {
			errs = append(errs, r.at(1, fmt.Sprintf("column %q looks like a secret", c), secretHint))
		}
	}
	if opts.AllowSecrets {
		return warnings, errs
	}
	for _, line := range t.inlined() {
		errs = append(errs, &Error{Place: Place{File: t.file, Line: line}, Problem: "a password would stand in every file", Hint: secretHint})
	}
	return warnings, errs
}

const secretHint = "use password_file, or password = \"${NAME}\""

// renderAll fills and checks every room.
func renderAll(t template, r rooms, out string, done *Rendered) (list []renderedRoom, errs Errors) {
	first := map[string]int{}
	told := map[string]bool{}
	for _, row := range r.rows {
		text := t.fill(row.cells)
		c, warnings, err := LoadText(t.file, text, elsewhere())
		if err != nil {
			errs = append(errs, ofRow(err, r.path, row.line)...)
			continue
		}
		id := c.Agent.ClientID
		switch {
		case strings.Contains(id, "${"):
			return nil, append(errs, r.at(row.line, "client_id is taken from the environment", "the folder needs a name that is known now"))
		case first[id] != 0:
			errs = append(errs, r.at(row.line, fmt.Sprintf("client_id %q stands in line %d already", id, first[id]), ""))
			continue
		}
		first[id] = row.line
		for _, w := range warnings {
			if !told[w.String()] {
				told[w.String()] = true
				done.Warnings = append(done.Warnings, w)
			}
		}
		list = append(list, renderedRoom{filepath.Join(out, id, "agent.toml"), text, row.line})
	}
	return list, errs
}

// elsewhere judges without this machine's name, variables and files.
func elsewhere() Options {
	return Options{
		Elsewhere: true,
		LookupEnv: func(string) (string, bool) { return "", false },
		Hostname:  func() (string, error) { return "", errNoHost },
	}
}

var errNoHost = errors.New("the config is for another machine")

// ofRow puts the line of the CSV before the places in the template.
func ofRow(err error, csv string, line int) Errors {
	var all Errors
	if !errors.As(err, &all) {
		return Errors{{Place: Place{File: csv, Line: line}, Problem: err.Error(), Err: err}}
	}
	for _, e := range all {
		e.File = fmt.Sprintf("%s:%d: %s", csv, line, e.File)
	}
	return all
}

// staleFolders tells of rooms that an earlier run wrote and this one does not.
func staleFolders(out string, list []renderedRoom) (warnings []Warning) {
	now := map[string]bool{}
	for _, room := range list {
		now[room.path] = true
	}
	old, err := filepath.Glob(filepath.Join(out, "*", "agent.toml"))
	if err != nil {
		return nil // the folder's name is no pattern: nothing is listed
	}
	for _, path := range old {
		if !now[path] {
			warnings = append(warnings, Warning{Place{File: path}, "written earlier, not in the CSV any more; it was left alone"})
		}
	}
	return warnings
}

func writeAll(list []renderedRoom, opts RenderOptions, done *Rendered) error {
	mode := os.FileMode(0o644)
	if opts.AllowSecrets {
		mode = 0o600
	}
	for _, room := range list {
		if err := durable.MkdirAll(durable.OS, filepath.Dir(room.path), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := durable.WriteFile(room.path, room.text, mode); err != nil {
			return fmt.Errorf("write config of line %d: %w", room.line, err)
		}
		done.Files = append(done.Files, room.path)
	}
	return nil
}

package config

import (
	"regexp"
	"slices"
	"strings"
)

// placeholder is {{column}}.
var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}`)

// template is a config whose texts may hold {{column}}. Outside of texts in
// quotes there are none: a cell always becomes a text and never TOML.
type template struct {
	*document
	holes []textValue // the texts with placeholders
}

func parseTemplate(path string, data []byte) (template, Errors) {
	d, e := parse(path, data, 0, 0)
	t := template{document: d}
	if e != nil {
		return t, Errors{e}
	}
	for _, v := range d.texts {
		if strings.Contains(v.text, "{{") {
			t.holes = append(t.holes, v)
		}
	}
	return t, nil
}

var onlyVariable = regexp.MustCompile(`^\$\{[^{}]*\}$`)

// inlined lists the lines with a password that is no environment variable.
func (t *template) inlined() (lines []int) {
	for _, v := range t.texts {
		if v.isPassword() && !onlyVariable.MatchString(v.text) {
			lines = append(lines, v.line)
		}
	}
	return lines
}

// check wants every placeholder to be a column, and returns those that are used.
func (t *template) check(r rooms) (used map[string]bool, errs Errors) {
	used = map[string]bool{}
	for _, h := range t.holes {
		if strings.Contains(placeholder.ReplaceAllString(h.text, ""), "{{") {
			e := t.errorAt(h.line, "{{ begins a placeholder that is not well formed", "")
			e.Allowed = "{{column}}"
			errs = append(errs, e)
		}
		for _, m := range placeholder.FindAllStringSubmatch(h.text, -1) {
			used[m[1]] = true
			if slices.Contains(r.columns, m[1]) {
				continue
			}
			hint := didYouMean(m[1], r.columns)
			if hint == "" {
				hint = "its columns are " + strings.Join(r.columns, ", ")
			}
			errs = append(errs, t.errorAt(h.line, "{{"+m[1]+"}} is not a column of "+r.path, hint))
		}
	}
	return used, errs
}

// fill puts a room's cells in. Where a text is one placeholder and nothing else,
// on a line of its own, an empty cell comments the line out, so that the default
// holds. The lines stay where they are.
func (t *template) fill(cells map[string]string) []byte {
	pieces := map[span]string{}
	for _, h := range t.holes {
		text := placeholder.ReplaceAllStringFunc(h.text, func(m string) string {
			cell := cells[placeholder.FindStringSubmatch(m)[1]]
			return strings.ReplaceAll(cell, "${", "$${")
		})
		alone := h.key >= 0 && placeholder.FindString(h.text) == h.text && !strings.Contains(string(t.data[h.from:h.to]), "\n")
		if text == "" && alone {
			pieces[span{h.key, h.to}] = "# " + string(t.data[h.key:h.from]) + `""`
		} else {
			pieces[h.span] = quoteTOML(text)
		}
	}
	return replace(t.data, pieces)
}

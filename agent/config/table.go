package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// table is one table of the configuration while it is read and checked.
type table struct {
	*loader
	section
	path   string         // "mqtt", "endpoint[2]", "limits.strict"
	device string         // of an endpoint
	raw    map[string]any // as in the files
}

// table reads a table by its keys into a struct.
func (l *loader) table(name, path string, into any) *table {
	t := &table{loader: l, section: sectionOf(name), path: path, raw: l.tables[path]}
	t.header = strings.Replace(t.header, "limits.NAME", path, 1)
	if d, ok := t.raw["device"].(string); ok && name == "endpoint" {
		t.device = shorten(d)
	}
	for _, k := range t.keys {
		if v := t.read(k); v != nil {
			setField(into, k.name, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.raw)) {
		if !slices.Contains(t.names(), name) {
			t.unknown(name)
		}
	}
	return t
}

// setField sets the field that is tagged with the name of the key.
func setField(into any, name string, v any) {
	if l, ok := into.(*Limits); ok && name != "base" {
		l.Values[name] = reflect.ValueOf(v).Convert(reflect.TypeFor[float64]()).Float()
		return
	}
	s := reflect.ValueOf(into).Elem()
	for i := range s.NumField() {
		if s.Type().Field(i).Tag.Get("toml") == name {
			s.Field(i).Set(reflect.ValueOf(v))
		}
	}
}

// read returns the value of a key: that of the files, else the default; nil =
// none. After an error it is the default.
func (t *table) read(k key) any {
	def := k.def
	if f, ok := def.(func(*loader) any); ok {
		def = f(t.loader)
	}
	if _, ok := def.(presence); ok {
		def = nil
	}
	raw, there := t.raw[k.name]
	var v any
	switch {
	case there && k.kind.list != nil:
		v = t.list(k, raw)
	case there:
		v = t.value(k.name, k.kind, raw)
	case k.def == required && !t.broken:
		t.fail(k.name, &Error{Problem: "missing; it is required", Allowed: k.kind.form})
	}
	switch {
	case v == nil:
		v = def
	case k.kind.isSecret:
		t.warnPlain(k.name, v.(Secret), raw.(string))
	case k.kind.isFile:
		v = t.absolute(k, v.(string))
	}
	if v != nil {
		t.record(k.name, v)
	}
	return v
}

// value reads one value; at is the key, or "key[2]" for an element of its list.
func (t *table) value(at string, k kind, raw any) any {
	v, elsewhere := raw, false
	if s, ok := raw.(string); ok {
		s, e := t.expand(s)
		if e != nil {
			t.fail(at, e)
			return nil
		}
		v, elsewhere = s, t.unresolved(s)
	}
	out, e := k.read(v)
	if e == nil || elsewhere {
		return out
	}
	if e.Allowed == "" {
		e.Allowed = k.form
	}
	if out == nil && k.list != nil && !k.list.brackets {
		e.Allowed = k.list.form
	}
	t.failFound(at, raw, e)
	return out
}

// list reads one text or a list of texts.
func (t *table) list(k key, raw any) any {
	want := k.kind.list
	items, many := raw.([]any)
	switch {
	case !many && want.brackets:
		first, _, _ := strings.Cut(k.kind.form, ",")
		t.failFound(k.name, raw, &Error{Allowed: fmt.Sprintf("a list in brackets such as [%q]", first)})
		return nil
	case !many:
		items = []any{raw}
	case len(items) == 0 && want.some:
		t.fail(k.name, &Error{Problem: "an empty list", Allowed: want.form})
	case len(items) > want.most:
		t.fail(k.name, &Error{Problem: fmt.Sprintf("found %d values", len(items)), Allowed: fmt.Sprintf("at most %d", want.most)})
		items = items[:want.most]
	}
	var out []string
	for i, raw := range items {
		at := k.name
		if many {
			at = fmt.Sprintf("%s[%d]", k.name, i+1)
		}
		v, ok := t.value(at, k.kind, raw).(string)
		if ok && want.once && slices.Contains(out, v) {
			t.failFound(at, raw, &Error{Problem: "listed twice", Allowed: "each value once"})
		}
		if ok {
			out = append(out, v)
		}
	}
	return out
}

// absolute returns a file's name counted from the folder of the config file, and
// checks the file.
func (t *table) absolute(k key, v string) string {
	if v == "" || t.unresolved(v) {
		return v
	}
	path := joinPath(t.opts.GOOS, t.dir, v)
	if k.kind.check != nil && !t.opts.Elsewhere {
		if e := k.kind.check(path); e != nil {
			t.failFile(k.name, path, k.kind.form, e)
		}
	}
	return path
}

// failFile reports what is wrong with a file that a key names.
func (t *table) failFile(name, path, form string, e *Error) {
	written, _ := t.raw[name].(string)
	if e.Hint == "" && !isAbs(t.opts.GOOS, written) && len(variables(written)) == 0 {
		e.Hint = "looked at " + path
	}
	e.Allowed = form
	t.failFound(name, written, e)
}

func (t *table) failFound(at string, raw any, e *Error) {
	if !e.hide {
		e.Found = describe(raw)
	}
	t.fail(at, e)
}

func (t *table) fail(at string, e *Error) { t.failAt(t.place(at), e) }

func (t *table) warn(key, format string, args ...any) {
	t.warnings = append(t.warnings, Warning{t.place(key), fmt.Sprintf(format, args...)})
}

// place finds a key; one that is not there is in the place of its table.
func (t *table) place(at string) Place {
	p, ok := t.places[t.path+"."+at]
	if !ok {
		p, ok = t.places[t.path]
	}
	if !ok {
		p.File = t.docs[0].file
	}
	name, _, _ := strings.Cut(at, "[")
	p.Key, p.Device = t.path+"."+name, t.device
	return p
}

func (t *table) unknown(name string) {
	hint := didYouMean(name, t.names())
	if homes := homesOf(name); len(homes) > 0 {
		hint = "it belongs below " + strings.Join(homes, " or ")
	} else if hint == "" {
		hint = "known keys are " + strings.Join(t.names(), ", ")
	}
	p := t.place(join("", name))
	p.Key = t.path + "." + shorten(name)
	t.failAt(p, &Error{Problem: "unknown key", Hint: hint})
}

func (t *table) record(name string, v any) {
	origin, written := "default", ""
	if raw, ok := t.raw[name]; ok {
		p := t.place(name)
		origin = fmt.Sprintf("%s:%d", p.File, p.Line)
		items, many := raw.([]any)
		if !many {
			items = []any{raw}
		}
		for _, it := range items {
			text, _ := it.(string)
			for _, v := range variables(text) {
				origin += ", environment " + v
				written = fmt.Sprint(raw)
			}
		}
	} else if name == "client_id" {
		origin = "default, from the host name"
	}
	t.settings = append(t.settings, Setting{t.header, t.path + "." + name, name, tomlValue(v), origin, written})
}

// variable is ${NAME}, or $${ for the two characters ${; a ${ alone is not well
// formed. The brackets in a name are those of Windows' ProgramFiles(x86).
var variable = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_()]*)\}|\$\{`)

// expand puts in the environment's values. What they hold is not looked at
// again.
func (l *loader) expand(text string) (string, *Error) {
	var unset []string
	malformed := false
	out := variable.ReplaceAllStringFunc(text, func(m string) string {
		switch m {
		case "$${":
			return "${"
		case "${":
			malformed = true
			return m
		}
		name := m[2 : len(m)-1]
		v, ok := l.opts.LookupEnv(name)
		if !ok {
			unset = append(unset, name)
			return m
		}
		return v
	})
	switch {
	case malformed:
		return "", &Error{Problem: "${ begins a variable that is not well formed", Allowed: "${NAME}, or $${ for the characters ${"}
	case len(unset) > 0 && !l.opts.Elsewhere:
		return "", &Error{Problem: fmt.Sprintf("environment variable %s is not set", strings.Join(unset, ", "))}
	}
	return out, nil
}

// variables lists the names that a text has from the environment.
func variables(text string) (names []string) {
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			names = append(names, m[1])
		}
	}
	return names
}

// unresolved tells whether a value is known only on the machine that the
// config is meant for.
func (l *loader) unresolved(v string) bool { return l.opts.Elsewhere && strings.Contains(v, "${") }

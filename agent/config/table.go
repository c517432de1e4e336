package config

import (
	"cmp"
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

// read returns the value of a key: what the files say, else the default; nil =
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
	if !there {
		if def != nil {
			t.record(k.name, def)
		} else if k.def == required && !t.broken {
			t.fail(k.name, &complaint{problem: "missing; it is required", allowed: k.kind.allowed()})
		}
		return def
	}
	var v any
	if l, ok := k.kind.(list); ok {
		v = t.list(k.name, l, raw)
	} else {
		v = t.value(k.name, k.kind, raw)
	}
	if v == nil {
		return def
	}
	switch kind := k.kind.(type) {
	case secret:
		t.warnPlain(k.name, v.(Secret), raw.(string))
	case file:
		v = t.absolute(k.name, kind, v.(string))
	}
	t.record(k.name, v)
	return v
}

// value reads one value; at is the key, or "key[2]" for an element of its list.
func (t *table) value(at string, k kind, raw any) any {
	v, elsewhere := raw, false
	if s, ok := raw.(string); ok {
		s, c := t.expand(s)
		if c != nil {
			t.fail(at, c)
			return nil
		}
		v, elsewhere = s, t.unresolved(s)
	}
	out, c := k.read(v)
	if c != nil && !elsewhere {
		c.allowed = cmp.Or(c.allowed, k.allowed())
		t.failFound(at, raw, c)
	}
	return out
}

// list reads one text or a list of texts.
func (t *table) list(name string, k list, raw any) any {
	items, many := raw.([]any)
	switch {
	case !many && k.brackets:
		first, _, _ := strings.Cut(k.allowed(), ",")
		t.failFound(name, raw, &complaint{allowed: fmt.Sprintf("a list in brackets such as [%q]", first)})
		return nil
	case !many:
		items = []any{raw}
	case len(items) == 0 && k.some:
		t.fail(name, &complaint{problem: "an empty list", allowed: k.form})
	case len(items) > k.most:
		t.fail(name, &complaint{problem: fmt.Sprintf("found %d values", len(items)), allowed: fmt.Sprintf("at most %d", k.most)})
		items = items[:k.most]
	}
	var out []string
	for i, raw := range items {
		at := name
		if many {
			at = fmt.Sprintf("%s[%d]", name, i+1)
		}
		v, ok := t.value(at, k, raw).(string)
		if ok && k.once && slices.Contains(out, v) {
			t.failFound(at, raw, &complaint{problem: "listed twice", allowed: "each value once"})
		}
		if ok {
			out = append(out, v)
		}
	}
	return out
}

// absolute returns a file's name counted from the config's folder, and checks
// the file.
func (t *table) absolute(name string, k file, v string) string {
	if v == "" || t.unresolved(v) {
		return v
	}
	path := joinPath(t.opts.GOOS, t.dir, v)
	if k.check != nil && !t.opts.Elsewhere {
		if c := k.check(path); c != nil {
			t.failFile(name, path, k.form, c)
		}
	}
	return path
}

// failFile reports what is wrong with a file that a key names.
func (t *table) failFile(name, path, allowed string, c *complaint) {
	written, _ := t.raw[name].(string)
	if c.hint == "" && !isAbs(t.opts.GOOS, written) && len(variables(written)) == 0 {
		c.hint = "looked at " + path
	}
	c.allowed = allowed
	t.failFound(name, written, c)
}

func (t *table) failFound(at string, raw any, c *complaint) {
	t.fail(at, c)
	if !c.hide {
		t.errs[len(t.errs)-1].Found = describe(raw)
	}
}

func (t *table) fail(at string, c *complaint) { t.failAt(t.place(at), c) }

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
	c := &complaint{problem: "unknown key", hint: didYouMean(name, t.names())}
	if homes := homesOf(name); len(homes) > 0 {
		c.hint = "it belongs below " + strings.Join(homes, " or ")
	}
	c.hint = cmp.Or(c.hint, "known keys are "+strings.Join(t.names(), ", "))
	p := t.places[join(t.path, name)]
	p.Key, p.Device = t.path+"."+shorten(name), t.device
	t.failAt(p, c)
}

func (t *table) record(name string, v any) {
	origin := "default"
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
			}
		}
	} else if name == "client_id" {
		origin = "default, from the host name"
	}
	t.settings = append(t.settings, Setting{t.header, t.path + "." + name, name, tomlValue(v), origin})
}

// variable is ${NAME}, or $${ for the two characters ${; a ${ alone is not well
// formed. The brackets in a name are those of Windows' ProgramFiles(x86).
var variable = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_()]*)\}|\$\{`)

// expand puts in the environment's values. What they hold is not looked at
// again.
func (l *loader) expand(text string) (string, *complaint) {
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
		return "", &complaint{problem: "${ begins a variable that is not well formed", allowed: "${NAME}, or $${ for the characters ${"}
	case len(unset) > 0 && !l.opts.Elsewhere:
		return "", &complaint{problem: fmt.Sprintf("environment variable %s is not set", strings.Join(unset, ", "))}
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

package config

import (
	"fmt"
	"strings"
)

// config reads the merged tree.
func (l *loader) config(root *node) *Config {
	c := &Config{}
	var sections []*section
	c.Agent = readTable(l, root, "agent", l.agent)
	c.Endpoints, sections = l.endpoints(root)
	c.MQTT = readTable(l, root, "mqtt", l.mqtt)
	c.Buffer = readTable(l, root, "buffer", l.buffer)
	c.Publish = readTable(l, root, "publish", l.publish)
	c.Limits = l.limits(root)
	l.checkLimits(c, sections)
	l.checkDevices(c, sections)
	l.checkTables(root)
	return c
}

func readTable[T any](l *loader, root *node, name string, read func(*section) T) T {
	s := &section{l: l, file: l.sources[0].path, header: "[" + name + "]", prefix: name}
	f := root.get(name)
	switch {
	case f == nil:
	case f.val.kind == kindTable:
		s.table = f.val
	case isTables(f.val):
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line},
			Problem: fmt.Sprintf("found [[%s]]", name), Allowed: fmt.Sprintf("one table [%s]", name)})
		s.table = f.val.items[0]
	default:
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line, Key: name},
			Found: f.val.describe(), Allowed: fmt.Sprintf("a table [%s]", name)})
		s.table = &node{kind: kindTable, file: f.file, line: f.line}
	}
	v := read(s)
	s.finish()
	return v
}

func (l *loader) endpoints(root *node) ([]Endpoint, []*section) {
	f := root.get("endpoint")
	switch {
	case f == nil:
		if !l.broken {
			l.errs = append(l.errs, &Error{Place: Place{File: l.sources[0].path},
				Problem: "no [[endpoint]] table: there is nothing to poll", Allowed: "one [[endpoint]] table a device"})
		}
		return nil, nil
	case f.val.kind == kindTable:
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line}, Problem: "found [endpoint]",
			Allowed: "[[endpoint]] in double brackets, one a device"})
		f.val = &node{kind: kindArray, tables: true, items: []*node{f.val}}
	case !isTables(f.val):
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line, Key: "endpoint"},
			Found: f.val.describe(), Allowed: "[[endpoint]] tables, one a device"})
		return nil, nil
	}
	items := f.val.items
	if len(items) > maxEndpoints {
		l.errs = append(l.errs, &Error{Place: Place{File: items[maxEndpoints].file, Line: items[maxEndpoints].line},
			Problem: fmt.Sprintf("found %d endpoints", len(items)), Allowed: fmt.Sprintf("at most %d", maxEndpoints)})
		items = items[:maxEndpoints]
	}
	var out []Endpoint
	var sections []*section
	for i, t := range items {
		s := &section{l: l, table: t, file: t.file, header: "[[endpoint]]", prefix: fmt.Sprintf("endpoint[%d]", i+1)}
		if d := t.get("device"); d != nil && d.val.kind == kindText {
			s.device = shorten(d.val.text)
		}
		out = append(out, l.endpoint(s))
		s.finish()
		sections = append(sections, s)
	}
	return out, sections
}

// checkDevices wants device names to be unique and warns of a device that is
// polled twice.
func (l *loader) checkDevices(c *Config, sections []*section) {
	names, urls := map[string]*section{}, map[string]*section{}
	for i, e := range c.Endpoints {
		s := sections[i]
		if first := names[e.Device]; first != nil && e.Device != "" {
			f := s.table.get("device")
			s.fail(f, "device", f.val, &complaint{problem: "this device name stands twice",
				allowed: "a name of its own for each endpoint", hint: "the first is " + first.where("device")})
		} else {
			names[e.Device] = s
		}
		if first := urls[e.URL]; first != nil && e.URL != "" {
			s.warn("url", "same address as %s (%s): the device is polled twice", first.prefix, first.device)
		} else {
			urls[e.URL] = s
		}
	}
}

// where names the place of a key without the key: "agent.toml:12".
func (s *section) where(key string) string {
	p := s.place(s.table.get(key), key)
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// checkTables reports what stands at the top level and does not belong there.
func (l *loader) checkTables(root *node) {
	tables := []string{"agent", "endpoint", "mqtt", "buffer", "publish", "limits"}
	known := map[string]bool{}
	for _, t := range tables {
		known[t] = true
	}
	for _, f := range root.fields {
		if known[f.name] {
			continue
		}
		name := shorten(f.name)
		e := &Error{Place: Place{File: f.file, Line: f.line, Key: name}, Problem: "unknown key outside any table"}
		e.Hint = homeOf(f.name)
		if f.val.kind == kindTable || isTables(f.val) {
			e.Key, e.Problem = "", "unknown table ["+name+"]"
			e.Hint = tableHint(f.name, tables)
		}
		if e.Hint == "" {
			e.Hint = "known tables are " + strings.Join(tables, ", ")
		}
		l.errs = append(l.errs, e)
	}
}

func tableHint(found string, tables []string) string {
	best := closest(found, tables)
	switch best {
	case "":
		return ""
	case "endpoint":
		return "did you mean [[endpoint]]?"
	case "limits":
		return "did you mean [limits.NAME]?"
	}
	return "did you mean [" + best + "]?"
}

// homeOf tells the tables that know a key.
func homeOf(key string) string {
	var homes []string
	for _, s := range schema() {
		if s.Name == key {
			homes = append(homes, s.Table)
		}
	}
	if len(homes) == 0 {
		return ""
	}
	return "it belongs below " + strings.Join(homes, " or ")
}

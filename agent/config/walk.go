package config

import (
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// part is one name of a dotted key.
type part struct {
	name string
	line int
}

func (p *parser) parts(it unstable.Iterator) []part {
	var out []part
	for it.Next() {
		n := it.Node()
		out = append(out, part{string(n.Data), p.lineAt(p.base + int(n.Raw.Offset))})
	}
	return out
}

func joinParts(parts []part) string {
	names := make([]string, len(parts))
	for i, q := range parts {
		names[i] = q.name
	}
	return shorten(strings.Join(names, "."))
}

// expression adds one line (or one value over several lines) to the tree.
func (p *parser) expression(e *unstable.Node) {
	if p.tooDeep(e) {
		return
	}
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable:
		p.openTable(p.parts(e.Key()), e.Kind == unstable.ArrayTable)
	case unstable.KeyValue:
		if !p.skip {
			p.keyValue(p.table, e)
		}
	}
}

// maxKeyParts bounds a dotted key.
const maxKeyParts = 16

func (p *parser) tooDeep(e *unstable.Node) bool {
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable, unstable.KeyValue:
	default:
		return false
	}
	n, line := 0, 0
	for it := e.Key(); it.Next() && n <= maxKeyParts; n++ {
		if n == 0 {
			line = p.lineAt(p.base + int(it.Node().Raw.Offset))
		}
	}
	if n <= maxKeyParts {
		return false
	}
	p.fail(line, "", "a key of more than %d parts", maxKeyParts)
	p.skip = p.skip || e.Kind != unstable.KeyValue
	return true
}

// maxTableKeys bounds one table; the TOML decoder takes quadratic time in it.
const maxTableKeys = 1000

// add puts a key into a table. One key too many ends the reading of the file.
func (p *parser) add(n *node, f *field) {
	if len(n.fields) >= maxTableKeys && !p.full {
		p.full = true
		p.fail(f.line, "", "more than %d keys in one table", maxTableKeys)
	}
	if !p.full {
		n.set(f)
	}
}

// openTable makes the table of a [NAME] or [[NAME]] line the current one.
func (p *parser) openTable(parts []part, many bool) {
	p.skip = true
	parent, ok := p.descend(p.root, parts[:len(parts)-1])
	if !ok {
		return
	}
	last := parts[len(parts)-1]
	fresh := &node{kind: kindTable, file: p.file, line: last.line, header: true}
	old := parent.get(last.name)
	switch {
	case old == nil && many:
		list := &node{kind: kindArray, file: p.file, line: last.line, tables: true, items: []*node{fresh}}
		p.add(parent, &field{last.name, p.file, last.line, list})
	case old == nil:
		p.add(parent, &field{last.name, p.file, last.line, fresh})
	case many && old.val.tables:
		old.val.items = append(old.val.items, fresh)
	case !many && old.val.kind == kindTable && !old.val.header:
		fresh = old.val
		fresh.header, fresh.line = true, last.line
	case !many && old.val.kind == kindTable:
		// The keys are still checked, as if the table went on.
		p.fail(last.line, "", "table [%s] stands here a second time; the first is in line %d", joinParts(parts), old.line)
		fresh = old.val
	default:
		p.fail(last.line, "", "%s is a table here and something else in line %d", joinParts(parts), old.line)
		return
	}
	p.table, p.skip = fresh, false
}

// descend goes down the names, making tables that are not there yet.
func (p *parser) descend(n *node, parts []part) (*node, bool) {
	for _, q := range parts {
		f := n.get(q.name)
		if f == nil {
			f = &field{q.name, p.file, q.line, &node{kind: kindTable, file: p.file, line: q.line}}
			p.add(n, f)
		}
		switch {
		case f.val.kind == kindTable:
			n = f.val
		case f.val.tables:
			n = f.val.items[len(f.val.items)-1]
		default:
			p.fail(q.line, "", "%s is a table here and a value in line %d", shorten(q.name), f.line)
			return nil, false
		}
	}
	return n, true
}

func (p *parser) keyValue(table *node, e *unstable.Node) {
	parts := p.parts(e.Key())
	parent, ok := p.descend(table, parts[:len(parts)-1])
	if !ok {
		return
	}
	last := parts[len(parts)-1]
	if old := parent.get(last.name); old != nil {
		p.fail(last.line, "", "key %s stands here a second time; the first is in line %d", joinParts(parts), old.line)
		return
	}
	p.add(parent, &field{last.name, p.file, last.line, p.value(e.Value(), last.line)})
}

func (p *parser) value(v *unstable.Node, line int) *node {
	n := &node{file: p.file, line: line, text: string(v.Data)}
	switch v.Kind {
	case unstable.Array:
		n.kind = kindArray
		for it := v.Children(); it.Next(); {
			n.items = append(n.items, p.value(it.Node(), line))
		}
	case unstable.InlineTable:
		n.kind = kindTable
		n.header = true
		for it := v.Children(); it.Next(); {
			if !p.tooDeep(it.Node()) {
				p.keyValue(n, it.Node())
			}
		}
	default:
		n.kind = scalarKind(v.Kind)
		n.line = p.lineAt(p.base + int(v.Raw.Offset))
	}
	return n
}

func scalarKind(k unstable.Kind) kind {
	switch k {
	case unstable.String:
		return kindText
	case unstable.Integer:
		return kindInt
	case unstable.Float:
		return kindFloat
	case unstable.Bool:
		return kindBool
	default:
		return kindTime
	}
}

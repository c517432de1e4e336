package config

// merge lays a conf.d file over what is there: tables are merged key by key
// and the later value wins, [[endpoint]] tables are appended, any other list
// is replaced as a whole.
func (l *loader) merge(base, over *node) {
	for _, f := range over.fields {
		old := base.get(f.name)
		switch {
		case old == nil:
			base.set(f)
		case old.val.kind == kindTable && f.val.kind == kindTable:
			dropRivals(old.val, f.val)
			l.merge(old.val, f.val)
		case f.name == "endpoint" && isTables(old.val) && isTables(f.val):
			old.val.items = append(old.val.items, f.val.items...)
		case isTables(old.val) != isTables(f.val) || (old.val.kind == kindTable) != (f.val.kind == kindTable):
			l.errs = append(l.errs, &Error{
				Place:   Place{File: f.file, Line: f.line, Key: f.name},
				Problem: "does not fit " + old.file + ", where it is " + shapeText(old.val),
				Found:   shapeText(f.val),
			})
		default:
			base.set(f)
		}
	}
}

func isTables(n *node) bool {
	if n.kind != kindArray {
		return false
	}
	for _, it := range n.items {
		if it.kind != kindTable {
			return false
		}
	}
	return n.tables || len(n.items) > 0
}

func shapeText(n *node) string {
	if isTables(n) {
		return "a list of tables [[...]]"
	}
	return n.kind.String()
}

// dropRivals makes a later password_file replace an earlier password, and the
// other way round.
func dropRivals(base, over *node) {
	for _, pair := range [][2]string{{"password", "password_file"}, {"password_file", "password"}} {
		if over.get(pair[0]) != nil && over.get(pair[1]) == nil {
			base.drop(pair[1])
		}
	}
}

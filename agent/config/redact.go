package config

import (
	"regexp"

	"github.com/pelletier/go-toml/v2/unstable"
)

// cut is a piece of a file that is replaced.
type cut struct {
	from, to int
	text     string
}

var (
	secretComment = regexp.MustCompile(`(?i)((?:password|passwd|secret|token)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,}]+)`)
	urlCredential = regexp.MustCompile(`(://)[^/@\s"']*@`)
)

// appendCuts finds the secrets of one expression and of the comments in it.
func appendCuts(cuts []cut, n *unstable.Node) []cut {
	for ; n.Valid(); n = n.Next() {
		switch n.Kind {
		case unstable.Comment:
			text := secretComment.ReplaceAllString(string(n.Data), "${1}\""+redacted+"\"")
			text = urlCredential.ReplaceAllString(text, "${1}"+redacted+"@")
			cuts = append(cuts, cut{int(n.Raw.Offset), int(n.Raw.Offset + n.Raw.Length), text})
		case unstable.KeyValue:
			if isPassword(n) {
				r := n.Value().Raw
				cuts = append(cuts, cut{int(r.Offset), int(r.Offset + r.Length), `"` + redacted + `"`})
				continue
			}
		}
		if c := n.Child(); c.Valid() {
			cuts = appendCuts(cuts, c)
		}
	}
	return cuts
}

// isPassword tells whether a key's last part is "password" and its value a
// text that is not empty.
func isPassword(n *unstable.Node) bool {
	name := ""
	for it := n.Key(); it.Next(); {
		name = string(it.Node().Data)
	}
	return name == "password" && n.Value().Kind == unstable.String && len(n.Value().Data) > 0
}

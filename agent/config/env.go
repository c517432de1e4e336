package config

import (
	"fmt"
	"regexp"
	"strings"
)

// variable is ${NAME}; the brackets are those of Windows' ProgramFiles(x86).
var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_()]*)\}`)

// walkVariables cuts a text into plain pieces and ${NAME}; $${ stands for the
// two characters ${. It stops at the first piece that is neither.
func walkVariables(text string, plain, name func(string)) *complaint {
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			plain(text)
			return nil
		}
		if i > 0 && text[i-1] == '$' {
			plain(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		m := variable.FindStringSubmatch(text[i:])
		if m == nil {
			return &complaint{problem: "${ begins a variable that is not well formed", hide: true,
				allowed: "${NAME}, or $${ for the characters ${"}
		}
		plain(text[:i])
		name(m[1])
		text = text[i+len(m[0]):]
	}
}

// expand puts in the environment's values. What they hold is not looked at
// again.
func (l *loader) expand(text string) (string, *complaint) {
	var out strings.Builder
	var unset []string
	c := walkVariables(text,
		func(s string) { out.WriteString(s) },
		func(name string) {
			v, ok := l.opts.LookupEnv(name)
			if !ok {
				unset = append(unset, name)
				v = "${" + name + "}"
			}
			out.WriteString(v)
		})
	if c == nil && len(unset) > 0 && !l.opts.Elsewhere {
		c = &complaint{hide: true, problem: fmt.Sprintf("environment variable %s is not set", strings.Join(unset, ", "))}
	}
	return out.String(), c
}

// variables lists the names that a text takes from the environment.
func variables(text string) []string {
	var names []string
	walkVariables(text, func(string) {}, func(n string) { names = append(names, n) })
	return names
}

// unresolved tells whether a value is known only on the machine that the
// config is meant for.
func (s *section) unresolved(v string) bool {
	return s.l.opts.Elsewhere && strings.Contains(v, "${")
}

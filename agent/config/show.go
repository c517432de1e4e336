package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Setting is one key of the effective configuration.
type Setting struct {
	Table string // as in the file: "[mqtt]", "[[endpoint]]"
	Key   string // full path: "mqtt.broker", "endpoint[1].url"
	Name  string // the key alone
	Value string // as TOML, secrets redacted
	// Origin is "default", "FILE:LINE", or that with ", environment NAME".
	Origin string
}

func (s *section) record(key, value string, f *field) {
	origin := "default"
	if f != nil {
		origin = fmt.Sprintf("%s:%d", f.file, f.line)
		for _, n := range f.val.oneOrMany() {
			if n.kind == kindText {
				for _, name := range variables(n.text) {
					origin += ", environment " + name
				}
			}
		}
	} else if key == "client_id" {
		origin = "default, from the host name"
	}
	s.l.settings = append(s.l.settings, Setting{s.header, s.prefix + "." + key, key, value, origin})
}

// schema lists every key with its default, by reading tables that are not
// there. Keys of endpoints have "[1]" in their path; the
// keys of limits have no default and are not in it.
var schema = sync.OnceValue(func() []Setting {
	l := newLoader("agent.toml", Options{Hostname: func() (string, error) { return "", nil }})
	l.sources = []source{{path: "agent.toml"}}
	l.agent(&section{l: l, header: "[agent]", prefix: "agent"})
	l.endpoint(&section{l: l, header: "[[endpoint]]", prefix: "endpoint[1]"})
	l.mqtt(&section{l: l, header: "[mqtt]", prefix: "mqtt"})
	l.buffer(&section{l: l, header: "[buffer]", prefix: "buffer"})
	l.publish(&section{l: l, header: "[publish]", prefix: "publish"})
	return l.settings
})

// Settings lists every key of the effective configuration with its value and
// origin, secrets redacted.
func (c *Config) Settings() []Setting { return append([]Setting(nil), c.settings...) }

// Effective gives the whole configuration as TOML: every key with its value
// and, in a comment, where it comes from. Secrets are redacted. The text loads
// again.
func (c *Config) Effective() string {
	var b strings.Builder
	b.WriteString("# Effective configuration, secrets redacted.\n")
	last := ""
	for _, s := range c.settings {
		at := s.Table + s.Key[:len(s.Key)-len(s.Name)]
		if at != last {
			fmt.Fprintf(&b, "\n%s\n", s.Table)
			last = at
		}
		fmt.Fprintf(&b, "%-40s # %s\n", s.Name+" = "+s.Value, oneLine(s.Origin))
	}
	return b.String()
}

func oneLine(s string) string { return strings.Map(dropControl, s) }

func dropControl(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

// AsWritten gives the files as they were read, with comments, secrets
// redacted, each file after a comment with its name when there is more than one.
func (c *Config) AsWritten() string {
	var b strings.Builder
	for _, s := range c.sources {
		if len(c.sources) > 1 {
			fmt.Fprintf(&b, "# file %s\n", oneLine(s.path))
		}
		b.Write(s.data)
		if len(s.data) > 0 && s.data[len(s.data)-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Hash gives 16 hex digits (the first 64 bits of a SHA-256) over every key and
// value except secrets. Comments, the order of keys and whether a default is
// written out do not change it.
func (c *Config) Hash() string {
	lines := make([]string, 0, len(c.settings))
	for _, s := range c.settings {
		if s.Name != "password" {
			lines = append(lines, s.Key+" = "+s.Value+"\n")
		}
	}
	sort.Strings(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:8])
}

// tomlText writes a value so that it comes back as it is.
func tomlText(s string) string { return tomlQuote(strings.ReplaceAll(s, "${", "$${")) }

func tomlQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func tomlList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = tomlText(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func redactSources(in []source) []source {
	out := make([]source, len(in))
	for i, s := range in {
		out[i] = source{s.path, redactTOML(s.data), s.mode}
	}
	return out
}

// redactTOML replaces every password in a file that parses, and what looks
// like one in a comment.
func redactTOML(data []byte) []byte {
	var p unstable.Parser
	p.KeepComments = true
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p.Reset(data)
	var cuts []cut
	for p.NextExpression() {
		cuts = appendCuts(cuts, p.Expression())
	}
	sort.Slice(cuts, func(i, j int) bool { return cuts[i].from < cuts[j].from })
	var b []byte
	at := 0
	for _, c := range cuts {
		b = append(append(b, data[at:c.from]...), c.text...)
		at = c.to
	}
	return append(b, data[at:]...)
}

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
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

// Settings lists every key of the effective configuration with its value and
// origin, secrets redacted.
func (c *Config) Settings() []Setting { return slices.Clone(c.settings) }

// Effective returns the whole configuration as TOML: every key with its value
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

// AsWritten returns the files as they were read, with comments, secrets
// redacted, each file after a comment with its name when there is more than one.
func (c *Config) AsWritten() string {
	var b strings.Builder
	for i, text := range c.written {
		if len(c.written) > 1 {
			fmt.Fprintf(&b, "# file %s\n", oneLine(c.Files[i]))
		}
		b.Write(text)
		if len(text) > 0 && text[len(text)-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Hash returns 16 hex digits (the first 64 bits of a SHA-256) over every key and
// value except secrets. Comments, the order of keys and whether a default is
// written out do not change it.
func (c *Config) Hash() string {
	lines := make([]string, 0, len(c.settings))
	for _, s := range c.settings {
		if s.Name != "password" {
			lines = append(lines, s.Key+" = "+s.Value+"\n")
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:8])
}

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one key of the effective configuration.
type Setting struct {
	Table string // as in the file: "[mqtt]", "[[endpoint]]"
	Key   string // full path: "mqtt.broker", "endpoint[1].url"
	Name  string // the key alone
	Value string // as TOML, secrets redacted
	// Origin is "default", "FILE:LINE", or that with ", environment NAME".
	Origin string

	written string // as in the file, where it has variables in it; else ""
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

// Trim drops what is kept for people who look at the configuration: Settings, Effective
// and AsWritten have nothing afterwards. That is 3 kB for each endpoint.
func (c *Config) Trim() { c.settings, c.written = nil, nil }

// Hash returns 16 hex digits (the first 64 bits of a SHA-256) over every key and
// value except secrets. Comments, the order of keys and whether a default is
// written out do not change it.
func (c *Config) Hash() string { return c.hash }

// WrittenHash is Hash with variables as they are written: it compares files also where
// the service's environment is another one than the terminal's.
func (c *Config) WrittenHash() string { return c.writtenHash }

func hash(settings []Setting, value func(Setting) string) string {
	lines := make([]string, 0, len(settings))
	for _, s := range settings {
		if !isSecret(s.Name) {
			lines = append(lines, s.Key+" = "+value(s)+"\n")
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:8])
}

// tomlValue writes a field's value as TOML.
func tomlValue(v any) string {
	switch v := v.(type) {
	case string:
		return Quote(v)
	case int64:
		return Quote(sizeText(v))
	case time.Duration:
		return Quote(durationText(v))
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case Secret:
		if v.IsSet() {
			return Quote(redacted)
		}
		return `""`
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// Quote writes a text as a TOML value that comes back as it is: no escape and
// no ${NAME} in it has a meaning.
func Quote(s string) string { return quoteTOML(strings.ReplaceAll(s, "${", "$${")) }

// quoteTOML leaves ${NAME} its meaning.
func quoteTOML(s string) string {
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

package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
)

// FormatVersion is the version of agent.toml's format that this program reads.
// It rises when a key changes its meaning or goes away; a new key alone leaves it.
const FormatVersion = 1

// formatLine is the comment that names the version, among the comments before
// the first key. It is a comment because the keys are fixed; a file without it
// counts as version 1.
var formatLine = regexp.MustCompile(`^#[ \t]*roomcall config format[ \t]+([0-9]{1,9})[ \t\r]*$`)

// checkFormat refuses a file that was written for a newer program, before its
// unknown keys are listed one by one.
func (p *parser) checkFormat() *Error {
	line := 0
	for text := range bytes.Lines(p.data) {
		line++
		text = bytes.TrimSpace(text)
		if len(text) > 0 && text[0] != '#' {
			return nil
		}
		m := formatLine.FindSubmatch(text)
		if m == nil {
			continue
		}
		if version, err := strconv.Atoi(string(m[1])); err != nil || version > FormatVersion || version < 1 {
			e := p.errorAt(line, "", "written for another version of roomcall", "upgrade roomcall, or take the config of this version")
			e.Found, e.Allowed = fmt.Sprintf("config format %s", m[1]), fmt.Sprintf("at most config format %d", FormatVersion)
			return e
		}
	}
	return nil
}

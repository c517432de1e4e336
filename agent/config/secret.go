package config

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"unicode/utf8"
)

const redacted = "[redacted]"

// Secret is a text that no printed form shows. The zero value is no secret.
type Secret struct{ text string }

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text itself, for the one place that sends it.
func (s Secret) Reveal() string { return s.text }

// IsSet tells whether there is a secret.
func (s Secret) IsSet() bool { return s.text != "" }

// String returns "[redacted]", set or not.
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// MarshalText returns "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format returns "[redacted]" for every verb, those for numbers too.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

const (
	maxSecretBytes = 16 << 10
	secretFile     = "a file with the secret on its first line"
)

// password returns the secret of a table: the plain one, or the first line of the
// file.
func (t *table) password(plain Secret, path string) Secret {
	var fromFile string
	if path != "" && !t.opts.Elsewhere {
		var c *Error
		if fromFile, c = t.readSecret(path); c != nil {
			t.failFile("password_file", path, secretFile, c)
		}
	}
	if plain.IsSet() && path != "" {
		t.fail("password_file", &Error{Problem: "password and password_file are both set", Allowed: "one of them"})
	}
	return Secret{plain.text + fromFile}
}

// readSecret returns the first line of a file without its line end.
func (t *table) readSecret(path string) (string, *Error) {
	data, mode, err := readBounded(path, maxSecretBytes)
	if err != nil {
		return "", fileComplaint("read secret", err)
	}
	if t.readableByOthers(mode) {
		t.warn("password_file", "others on this machine can read the secret file (file mode %04o); chmod 600", mode)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "", &Error{Problem: "the secret file is UTF-16", Hint: "save it as UTF-8"}
	case len(line) == 0:
		return "", &Error{Problem: "the secret file's first line is empty"}
	case !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0:
		return "", &Error{Problem: "the secret file is not UTF-8 text"}
	}
	return string(line), nil
}

// warnPlain warns of a secret in the config itself.
func (t *table) warnPlain(name string, v Secret, written string) {
	if v.text == redacted {
		t.warn(name, "the text %s is in place of the secret; put the real one there, best with %s_file", redacted, name)
		return
	}
	for _, d := range t.docs {
		if d.file == t.place(name).File && t.readableByOthers(d.mode) && v.IsSet() && len(variables(written)) == 0 {
			t.warn(name, "others on this machine can read the secret (file mode %04o); use %s_file or chmod 600", d.mode, name)
		}
	}
}

// readableByOthers tells whether more than the owner can read a file. On Windows
// the mode does not tell.
func (t *table) readableByOthers(mode fs.FileMode) bool {
	return t.opts.GOOS != "windows" && mode&0o077 != 0
}

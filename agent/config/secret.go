package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"unicode"
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

// ReadSecretFile reads the secret on the first line of a file as the config does: a
// secret may be changed while the program runs.
func ReadSecretFile(path string) (Secret, error) {
	data, _, err := readBounded(path, maxSecretBytes)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret: %w", err)
	}
	line, bad := firstLine(data)
	if bad != nil {
		return Secret{}, errors.New(bad.Problem)
	}
	return Secret{line}, nil
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
	line, bad := firstLine(data)
	if bad == nil {
		t.warnOdd("password_file", line)
	}
	return line, bad
}

// warnOdd warns of what is more often a slip than part of a secret: it would be sent
// as it is, and count as a wrong password.
func (t *table) warnOdd(key, secret string) {
	trimmed := strings.TrimSpace(secret)
	switch {
	case trimmed != secret:
		t.warn(key, "the secret begins or ends with a blank, which counts as part of it; remove it unless that is meant")
	case len(secret) > 1 && strings.ContainsRune("\"'`", rune(secret[0])) && secret[len(secret)-1] == secret[0],
		strings.IndexAny(secret, "“‘「『＂＇") == 0, strings.HasSuffix(secret, "”"):
		t.warn(key, "the secret stands in quotes, which count as part of it; remove them unless that is meant")
	case strings.ContainsFunc(secret, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }):
		t.warn(key, "the secret has characters that are not seen, which count as part of it; write it anew")
	}
}

func firstLine(data []byte) (string, *Error) {
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
	t.warnOdd(name, v.text)
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

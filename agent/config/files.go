package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"
)

const (
	maxSecretBytes = 16 << 10
	maxCertBytes   = 1 << 20
)

// file reads a key that names a file; relative paths count from the config
// file's folder.
func (s *section) filename(key string, check func(path string) *complaint) string {
	f := s.get(key)
	v, ok := s.value(f, key, "a file name in quotes")
	if ok && v != "" && !s.unresolved(v) {
		v = joinPath(s.l.opts.GOOS, s.l.dir, v)
		if check != nil && !s.l.opts.Elsewhere {
			if c := check(v); c != nil {
				if c.hint == "" && !isAbs(s.l.opts.GOOS, f.val.text) && len(variables(f.val.text)) == 0 {
					c.hint = "looked at " + v
				}
				s.fail(f, key, f.val, c)
			}
		}
	}
	s.record(key, tomlText(v), f)
	return v
}

// secret reads the key or, from a file's first line, the key with "_file".
func (s *section) secret(key string) Secret {
	plain := s.plainSecret(key)
	var fromFile string
	fileKey := key + "_file"
	path := s.filename(fileKey, func(path string) (c *complaint) {
		fromFile, c = s.readSecret(path, fileKey)
		return c
	})
	if plain != "" && path != "" {
		s.fail(s.table.get(fileKey), fileKey, nil, &complaint{problem: key + " and " + fileKey + " are both set", allowed: "one of them"})
	}
	return Secret{plain + fromFile}
}

func (s *section) plainSecret(key string) string {
	f := s.get(key)
	shown := ""
	defer func() { s.record(key, tomlText(shown), f) }()
	if f == nil {
		return ""
	}
	if f.val.kind != kindText {
		s.fail(f, key, f.val, &complaint{problem: "found " + f.val.kind.String() + " (not shown)", allowed: "text in quotes", hide: true})
		return ""
	}
	v, c := s.l.expand(f.val.text)
	if c != nil {
		s.fail(f, key, f.val, c)
		return ""
	}
	if v != "" {
		shown = redacted
		s.warnPlain(f, key, v)
	}
	return v
}

func (s *section) warnPlain(f *field, key, v string) {
	if v == redacted {
		s.warn(key, "the text %s stands in place of the secret; put the real one, best with %s_file", redacted, key)
		return
	}
	mode := s.l.modeOf(f.file)
	if s.l.opts.GOOS != "windows" && mode&0o077 != 0 && len(variables(f.val.text)) == 0 {
		s.warn(key, "others on this machine can read the secret (file mode %04o); use %s_file or chmod 600", mode, key)
	}
}

func (l *loader) modeOf(path string) os.FileMode {
	for _, src := range l.sources {
		if src.path == path {
			return src.mode
		}
	}
	return 0
}

// readSecret gives the first line of a file without its line end.
func (s *section) readSecret(path, key string) (string, *complaint) {
	const wanted = "a file with the secret on its first line"
	data, mode, err := readBounded(path, maxSecretBytes)
	if err != nil {
		return "", fileComplaint("read secret", err, wanted)
	}
	if s.l.opts.GOOS != "windows" && mode&0o077 != 0 {
		s.warn(key, "others on this machine can read the secret file (file mode %04o); chmod 600", mode)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "", &complaint{problem: "the secret file is UTF-16", allowed: wanted, hint: "save it as UTF-8"}
	case len(line) == 0:
		return "", &complaint{problem: "the secret file's first line is empty", allowed: wanted}
	case !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0:
		return "", &complaint{problem: "the secret file is not UTF-8 text", allowed: wanted}
	}
	return string(line), nil
}

func fileComplaint(what string, err error, wanted string) *complaint {
	hint := ""
	if errors.Is(err, os.ErrPermission) {
		hint = "give the user that runs roomcall the right to read it"
	}
	return &complaint{problem: what + ": " + reason(err), allowed: wanted, hint: hint}
}

// checkCA wants a readable PEM file with at least one certificate.
func checkCA(path string) *complaint {
	const wanted = "a PEM file with CA certificates"
	data, _, err := readBounded(path, maxCertBytes)
	if err != nil {
		return fileComplaint("read certificates", err, wanted)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return &complaint{problem: "no certificate in the file", allowed: wanted}
	}
	return nil
}

// checkReadable wants a readable file of bounded size.
func checkReadable(path string) *complaint {
	if _, _, err := readBounded(path, maxCertBytes); err != nil {
		return fileComplaint("read file", err, "a PEM file")
	}
	return nil
}

// checkKeyPair wants a certificate and a key that belong together. The error
// of crypto/tls holds no part of the key.
func checkKeyPair(cert, key string) *complaint {
	certPEM, _, err := readBounded(cert, maxCertBytes)
	if err != nil {
		return nil // reported with its own key
	}
	keyPEM, _, err := readBounded(key, maxCertBytes)
	if err != nil {
		return nil
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return &complaint{problem: fmt.Sprintf("load certificate and key: %v", err), allowed: "cert_file and key_file that belong together, PEM"}
	}
	return nil
}

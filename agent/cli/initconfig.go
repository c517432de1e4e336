package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/agent/run"
)

// take checks a ready config where it is, and copies it.
func (i *initializer) take() error {
	if _, _, err := config.Load(i.in.from, config.Options{}); err != nil {
		return err
	}
	text, err := os.ReadFile(i.in.from)
	if err != nil {
		return fmt.Errorf("read --from: %w", err)
	}
	if err := i.copySecret(i.in.secretFile, endpointSecret); err != nil {
		return err
	}
	return i.put(text)
}

// Names of the secret files beside the config.
const (
	endpointSecret = "endpoint.secret"
	brokerSecret   = "broker.secret"
)

// compose writes the config from the answers, looks at the endpoint's
// certificate and, with consent, pins it.
func (i *initializer) compose(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(i.path), 0o755); err != nil {
		return fmt.Errorf("make the config's folder: %w", err)
	}
	if err := errors.Join(i.copySecret(i.in.secretFile, endpointSecret), i.copySecret(i.in.mqttSecretFile, brokerSecret)); err != nil {
		return err
	}
	cfg, err := i.try()
	if err != nil {
		return err
	}
	if i.in.fingerprint == "" && strings.HasPrefix(i.in.url, "https://") {
		if err := i.pin(ctx, cfg); err != nil {
			return err
		}
		if _, err := i.try(); err != nil {
			return err
		}
	}
	return i.put([]byte(i.text()))
}

// try checks the answers as a config before anything is replaced.
func (i *initializer) try() (*config.Config, error) {
	f, err := os.CreateTemp(filepath.Dir(i.path), ".init-*.toml")
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(i.text())
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	cfg, warnings, err := config.Load(f.Name(), config.Options{})
	i.warn(warnings)
	return cfg, err
}

// pin shows the certificate's fingerprint and takes it when the person agrees.
func (i *initializer) pin(ctx context.Context, cfg *config.Config) error {
	client, err := run.NewEndpoint(cfg.Endpoints[0])
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	for _, s := range client.Probe(ctx) {
		if s.Name != "tls" {
			continue
		}
		fmt.Fprintf(i.stdout, "endpoint's certificate: %s\n", host.Printable(s.Detail))
		if s.OK || s.Fingerprint == "" {
			if s.Hint != "" {
				fmt.Fprintf(i.stdout, "hint: %s\n", s.Hint)
			}
			return nil
		}
		return i.consent(ctx, s.Fingerprint)
	}
	return nil
}

// consent pins a certificate that no authority vouches for, if a person says so.
func (i *initializer) consent(ctx context.Context, fingerprint string) error {
	if i.in.acceptFingerprint {
		i.in.fingerprint = fingerprint
		return nil
	}
	if i.in.yes {
		fmt.Fprintf(i.stdout, "not pinned: compare the fingerprint with the endpoint's own, then use --fingerprint\n")
		return nil
	}
	answer, err := i.question(ctx, "Does the endpoint itself show this fingerprint? Pin it (yes/no)")
	if err != nil {
		return err
	}
	if strings.EqualFold(answer, "yes") || strings.EqualFold(answer, "y") {
		i.in.fingerprint = fingerprint
	}
	return nil
}

// copySecret puts a secret beside the config, readable by its owner alone.
func (i *initializer) copySecret(from, name string) error {
	if from == "" {
		return nil
	}
	secret, err := host.FirstLine(from)
	if err != nil {
		return usageError{fmt.Errorf("read secret: %w", err)}
	}
	path := filepath.Join(filepath.Dir(i.path), name)
	if err := host.WriteFile(path, []byte(secret+"\n")); err != nil {
		return err
	}
	return forService(path, true)
}

// forService lets the service's own user read a file that root has made, where a
// package has made that user: a secret becomes that user's, a config stays
// root's.
func forService(path string, secret bool) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(serviceName)
	if err != nil {
		return nil // no such user: whoever runs the service sees to it
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("find user %s: %w", serviceName, err)
	}
	mode := os.FileMode(0o600)
	if !secret {
		uid, mode = 0, 0o640
	}
	return errors.Join(os.Chown(path, uid, gid), os.Chmod(path, mode))
}

func (i *initializer) put(text []byte) error {
	if err := os.MkdirAll(filepath.Dir(i.path), 0o755); err != nil {
		return fmt.Errorf("make the config's folder: %w", err)
	}
	if err := host.WriteFile(i.path, text); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return forService(i.path, false)
}

// text is the config of the answers.
func (i *initializer) text() string {
	var b strings.Builder
	set := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, tomlText(value))
		}
	}
	fmt.Fprintf(&b, "# roomcall config format %d\n", config.FormatVersion)
	b.WriteString("# Made by `roomcall init`. Every key is explained in the commented example agent.toml.\n\n[agent]\n")
	set("client_id", i.in.clientID)
	set("site", i.in.site)
	b.WriteString("\n[[endpoint]]\n")
	if i.in.device == "" {
		i.in.device = "endpoint"
	}
	set("device", i.in.device)
	set("room", i.in.room)
	set("url", i.in.url)
	set("username", i.in.username)
	if i.in.secretFile != "" {
		set("password_file", endpointSecret)
	}
	set("fingerprint", i.in.fingerprint)
	b.WriteString("\n[mqtt]\n")
	set("broker", i.in.broker)
	set("username", i.in.mqttUser)
	if i.in.mqttSecretFile != "" {
		set("password_file", brokerSecret)
	}
	return b.String()
}

// tomlText writes a text as a TOML basic string in which no variable is taken.
func tomlText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return strings.ReplaceAll(b.String(), "${", "$${")
}

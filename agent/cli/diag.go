package cli

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/run"
)

// Bounds of a support bundle.
const (
	diagLogLines = "2000"
	diagPartMax  = 8 << 20
)

func (a *app) diagCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "diag",
		Short: "Make a bundle for support, without secrets and names",
		Long: `Makes a zip file with config, status, checks, recent log, metrics, the store's
state and the endpoints' last replies. It lists what it will contain before it
writes. Secrets, user names, room, site and people's names are removed. It also
works while the service is down.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.diag(cmd.Context(), out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "roomcall-diag.zip", "file to write")
	return cmd
}

// diagPart is one file of the bundle.
type diagPart struct {
	name, text string
	make       func(ctx context.Context, w io.Writer) error
}

// diagPatience bounds a bundle: endpoints are asked one after the other, and each may
// use its timeout for every step of the way and of a poll. nil = no config.
func diagPatience(cfg *config.Config) time.Duration {
	const rest, steps = 2 * time.Minute, 10
	patience := rest
	if cfg != nil {
		for _, e := range cfg.Endpoints {
			patience += steps * e.Timeout
		}
	}
	return patience
}

func (a *app) diag(ctx context.Context, out string) error {
	cfg, warnings, cfgErr := a.load()
	ctx, cancel := context.WithTimeout(ctx, diagPatience(cfg))
	defer cancel()
	parts := a.diagParts(cfg, warnings, cfgErr)
	fmt.Fprintf(a.stdout, "%s will contain:\n", out)
	for _, p := range parts {
		fmt.Fprintf(a.stdout, "  %-14s %s\n", p.name, p.text)
	}
	f := &wholeFile{path: out}
	if err := f.finish(writeBundle(ctx, f, parts, namesInSentences(cfg))); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	_, err := fmt.Fprintf(a.stdout, "written: %s\n", out)
	return err
}

// writeBundle writes the parts as a zip file.
func writeBundle(ctx context.Context, out io.Writer, parts []diagPart, spoken *strings.Replacer) error {
	if _, err := out.Write(nil); err != nil { // before the work of a minute
		return err
	}
	z := zip.NewWriter(out)
	for _, p := range parts {
		if err := p.write(ctx, z, spoken); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return z.Close()
}

// diagParts lists the parts; with a config that does not load only those that
// need no config.
func (a *app) diagParts(cfg *config.Config, warnings []config.Warning, cfgErr error) []diagPart {
	parts := []diagPart{
		{"version.json", "version of this binary", func(_ context.Context, w io.Writer) error { return writeJSON(w, thisBuild(a.version)) }},
		{"log.txt", "the last lines of the service's log, where a journal keeps them", writeJournal},
	}
	if cfgErr != nil {
		return append(parts, diagPart{"config.txt", "why the config does not load",
			func(_ context.Context, w io.Writer) error { return writeLine(w, cfgErr.Error()) }})
	}
	ask := func(path string) func(context.Context, io.Writer) error {
		return func(ctx context.Context, w io.Writer) error {
			body, err := askAgent(ctx, cfg, path)
			if err != nil {
				return writeLine(w, err.Error()+"\nservice: "+cmp.Or(serviceState(ctx), "not known"))
			}
			_, err = w.Write(body)
			return err
		}
	}
	return append(parts,
		diagPart{"config.toml", "every setting and where it comes from", func(_ context.Context, w io.Writer) error {
			for _, one := range warnings {
				fmt.Fprintf(w, "# warning: %s\n", one)
			}
			return writeLine(w, cfg.Effective())
		}},
		diagPart{"status.json", "status of the running agent", ask("/api/v1/status")},
		diagPart{"metrics.txt", "metrics of the running agent", ask("/metrics")},
		diagPart{"buffer.json", "what waits in the store", func(ctx context.Context, w io.Writer) error {
			info, err := storeInfo(ctx, cfg)
			if err != nil {
				return err
			}
			return writeJSON(w, info)
		}},
		diagPart{"check.txt", "every stage of the way, as `roomcall check` shows it", func(ctx context.Context, w io.Writer) error {
			sub := &app{version: a.version, stdout: w, stderr: w, getenv: a.getenv, configFlag: a.configFlag}
			_ = (&checker{app: sub}).run(ctx, false) // its result is the text
			return nil
		}},
		diagPart{"poll.txt", "what each endpoint replies, unchanged", func(ctx context.Context, w io.Writer) error { return writePolls(ctx, w, cfg) }},
	)
}

// write adds one part, redacted.
func (p diagPart) write(ctx context.Context, z *zip.Writer, spoken *strings.Replacer) error {
	var b bytes.Buffer
	if err := p.make(ctx, &b); err != nil {
		b.WriteString("\nnot available: " + err.Error() + "\n")
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: "roomcall-diag/" + p.name, Method: zip.Deflate, Modified: time.Now()})
	if err != nil {
		return err
	}
	text := b.Bytes()
	_, err = spoken.WriteString(w, string(redact(text[:min(len(text), diagPartMax)])))
	return err
}

// personal finds the values of keys that name people or places, in TOML, log
// lines and JSON, also JSON within a JSON string, two levels deep.
var personal = regexp.MustCompile(`(?i)(\\*"?\b(?:room|site|username|user|peer|szname|sitename|text)\\*"?\s*[:=]\s*)` +
	`(\\{3}"(?:[^"\\]|\\{7}"|\\{2,}[^"\\])*\\{3}"|\\"(?:[^"\\]|\\{3}"|\\\\[^"\\])*\\"|"(?:[^"\\]|\\.)*"|[^\s",}]+)`)

// complained finds what an error of the config quotes of such a key.
var complained = regexp.MustCompile(`((?:\.(?:room|username)|\] (?:site|username))(?: \([^)]*\))?: )found "(?:[^"\\]|\\.)*"`)

// redact removes the values of keys. Secrets never get as far as this.
func redact(text []byte) []byte {
	text = complained.ReplaceAll(text, []byte(`${1}"[redacted]"`))
	return personal.ReplaceAll(text, []byte(`${1}"[redacted]"`))
}

// namesInSentences removes the names that status and check put into a
// sentence: "Board room (hub) does not answer", "user api, login web".
func namesInSentences(cfg *config.Config) *strings.Replacer {
	var pairs []string
	if cfg == nil {
		return strings.NewReplacer()
	}
	for _, e := range cfg.Endpoints {
		name := health.Endpoint{Device: e.Device, Room: e.Room}.RoomName()
		for _, said := range []string{name, inJSON(name, false), inJSON(name, true)} {
			if e.Room != "" {
				pairs = append(pairs, said, "[redacted] ("+e.Device+")")
			}
		}
		if e.Username != "" {
			pairs = append(pairs, "user "+e.Username+",", "user [redacted],")
		}
	}
	return strings.NewReplacer(pairs...)
}

// inJSON is a text as it appears between the quotes of a JSON string.
func inJSON(text string, escapeHTML bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	if enc.Encode(text) != nil {
		return ""
	}
	return b.String()[1 : b.Len()-len("\"\n")]
}

func writeLine(w io.Writer, text string) error {
	_, err := io.WriteString(w, text+"\n")
	return err
}

// writeJournal asks the systemd journal.
func writeJournal(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--unit", serviceName, "--lines", diagLogLines, "--no-pager", "--output", "short-iso")
	cmd.Stdout, cmd.Stderr = w, w
	return cmd.Run()
}

// writePolls polls each endpoint once and keeps what it said.
func writePolls(ctx context.Context, w io.Writer, cfg *config.Config) error {
	for _, e := range cfg.Endpoints {
		client, err := run.NewEndpoint(cfg, e, false, nil)
		if err != nil {
			return err
		}
		status, err := client.Poll(ctx)
		fmt.Fprintf(w, "== %s\n%s\n", e.Device, status.Raw)
		if err != nil {
			fmt.Fprintf(w, "%v\n", err)
		}
		if status.ErrID != 0 || status.ErrCode != 0 {
			fmt.Fprintf(w, "refused by the endpoint: id %d, code %d\n", status.ErrID, status.ErrCode)
		}
		for _, q := range status.NotUnderstood {
			fmt.Fprintf(w, "not understood: %s = %q\n", q.Key, q.Text)
		}
		_ = client.Close(ctx)
	}
	return nil
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/agent/run"
	"roomcall/agent/web"
	"roomcall/buffer"
)

func (a *app) bufferCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "buffer",
		Short: "Look into the store on disk",
		Long: `Looks into the store on disk. With the agent running it goes through the agent,
over its local HTTP.`,
		Args: noArgs,
		RunE: group("buffer", "info, export, verify or replay"),
	}
	cmd.AddCommand(a.bufferInfoCommand(), a.bufferExportCommand(), a.bufferVerifyCommand(), a.bufferReplayCommand())
	return cmd
}

func (a *app) bufferInfoCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Show what waits in the store",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := a.look()
			if err != nil {
				return err
			}
			info, err := storeInfo(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, info)
			}
			return writeInfo(a.stdout, info, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// storeInfo asks the running agent, or reads the store when none runs.
func storeInfo(ctx context.Context, cfg *config.Config) (run.StoreInfo, error) {
	in, err := buffer.InfoDir(cfg.Agent.DataDir)
	if err == nil {
		in.MaxBytes = cfg.Buffer.MaxBytes
		return run.StoreInfoOf(in), nil
	}
	if !errors.Is(err, buffer.ErrLocked) {
		return run.StoreInfo{}, storeError(cfg, err)
	}
	var info run.StoreInfo
	body, err := askAgent(ctx, cfg, "/api/v1/buffer")
	if err == nil {
		err = json.Unmarshal(body, &info)
	}
	return info, err
}

// storeError adds what to do when there is no store yet, or this user may not read it.
func storeError(cfg *config.Config, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; the agent makes it at its first start, see [agent] data_dir", err)
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; run this as the user that the service runs as, or as root", err)
	}
	return err
}

func writeInfo(out io.Writer, in run.StoreInfo, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "store\t%s\n", in.Dir)
	if in.Epoch != 0 {
		fmt.Fprintf(w, "created\t%s\n", buffer.Began(in.Epoch).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, "waiting\t%d records, %s\n", in.Waiting, health.Bytes(int64(in.WaitingBytes)))
	if !in.Oldest.IsZero() {
		fmt.Fprintf(w, "oldest\t%s, %s ago\n", in.Oldest.UTC().Format(time.RFC3339), health.Age(now.Sub(in.Oldest)))
	}
	fmt.Fprintf(w, "kept\t%d delivered records\n", in.DeliveredKept)
	fmt.Fprintf(w, "quarantined\t%d records that the broker rejects\n", in.Quarantined)
	fmt.Fprintf(w, "disk\t%s of %s in %d segments\n", health.Bytes(in.DiskBytes), health.Bytes(in.MaxBytes), in.Segments)
	if in.DamagedFiles > 0 {
		fmt.Fprintf(w, "damaged\t%d files kept for examination, %s\n", in.DamagedFiles, filepath.Join(in.Dir, "*.corrupt-*"))
	}
	for _, d := range in.Damaged {
		fmt.Fprintf(w, "damaged\t%s: %s, %d records salvaged, %s\n", d.File, d.Reason, d.Salvaged, record.LostText(d.Lost, d.Reset))
	}
	return w.Flush()
}

// exportFlags choose what is exported and where to.
type exportFlags struct {
	out, device, since, until string
	delivered                 bool
}

func (a *app) bufferExportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the store's records as one JSON object a line",
		Long: `Writes the payloads of the records that wait, oldest first, as one JSON object a
line. The store is not changed.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := a.look()
			if err != nil {
				return err
			}
			return a.export(cmd.Context(), cfg, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "file to write (default: standard output)")
	fl.StringVar(&f.device, "device", "", "only this device")
	fl.StringVar(&f.since, "since", "", "only records of this time (RFC 3339, ts_ms, or 10m = ten minutes ago) or later")
	fl.StringVar(&f.until, "until", "", "only records before this time (the same forms)")
	fl.BoolVar(&f.delivered, "delivered", false, "also delivered records that are still kept")
	return cmd
}

func (a *app) export(ctx context.Context, cfg *config.Config, f exportFlags) error {
	filter, err := f.filter()
	if err != nil {
		return usageError{err}
	}
	if f.out == "" && host.IsTerminal(a.stdout) {
		return exportStore(ctx, cfg, a.stdout, filter) // a line of progress would be among the records
	}
	p := a.progress("exporting")
	defer p.end()
	if filter == (web.Filter{}) {
		if info, err := storeInfo(ctx, cfg); err == nil {
			p.set(0, int64(info.WaitingBytes))
		}
	}
	if f.out == "" {
		return exportStore(ctx, cfg, io.MultiWriter(a.stdout, p), filter)
	}
	file := &wholeFile{path: f.out}
	err = exportStore(ctx, cfg, io.MultiWriter(file, p), filter)
	if err == nil {
		_, err = file.Write(nil) // nothing to export is an empty file
	}
	return file.finish(err)
}

func (f exportFlags) filter() (web.Filter, error) {
	out := web.Filter{Filter: report.Filter{Device: f.device}, Delivered: f.delivered}
	var err, err2 error
	out.Since, err = parseTime("--since", f.since)
	out.Until, err2 = parseTime("--until", f.until)
	return out, errors.Join(err, err2)
}

// parseTime reads the time of a flag; "" is the zero time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := web.ParseTime(text, time.Now())
	if err != nil {
		return t, fmt.Errorf("%s %q: use the form 2026-01-31T08:00:00Z, 10m for ten minutes ago, or a record's ts_ms", flag, text)
	}
	return t, nil
}

// exportStore goes through the running agent, or reads the store when none runs.
func exportStore(ctx context.Context, cfg *config.Config, w io.Writer, f web.Filter) error {
	err := run.ExportDir(ctx, cfg.Agent.DataDir, w, f)
	if !errors.Is(err, buffer.ErrLocked) {
		if err != nil {
			return storeError(cfg, err)
		}
		return nil
	}
	path := "/api/v1/buffer/export?" + exportQuery(f)
	key, _ := run.LocalKey(cfg.Agent.DataDir) // without it the agent says who may
	body, err := web.GetWithKey(ctx, cfg.Agent.HTTPListen, path, web.Patience(path, cfg.Buffer.MaxBytes), key)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

func exportQuery(f web.Filter) string {
	q := url.Values{}
	if f.Device != "" {
		q.Set("device", f.Device)
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		q.Set("until", f.Until.UTC().Format(time.RFC3339Nano))
	}
	if f.Delivered {
		q.Set("delivered", "1")
	}
	return q.Encode()
}

func (a *app) bufferVerifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the store's files",
		Long: `Checks each page and the checksum of each record. Nothing is changed. With the
agent running the file that it is writing to is left out. Exit code 1 when a
file is damaged.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := a.look()
			if err != nil {
				return err
			}
			v, err := a.verifyStore(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return a.showVerification(v, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// verifyStore asks the running agent, or checks the files when none runs.
func (a *app) verifyStore(ctx context.Context, cfg *config.Config) (v run.Verification, err error) {
	p := a.progress("checking the store")
	defer p.end()
	list, err := buffer.VerifyDir(cfg.Agent.DataDir, p.set)
	if err == nil {
		return run.VerificationOf(list), nil
	}
	if !errors.Is(err, buffer.ErrLocked) {
		return v, storeError(cfg, err)
	}
	body, err := askAgent(ctx, cfg, "/api/v1/buffer/verify")
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	return v, err
}

func (a *app) showVerification(v run.Verification, asJSON bool) error {
	if asJSON {
		if err := writeJSON(a.stdout, v); err != nil {
			return err
		}
	} else if err := a.verificationTable(v); err != nil {
		return err
	}
	if !v.OK {
		return errReported
	}
	return nil
}

func (a *app) verificationTable(v run.Verification) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	for _, f := range v.Files {
		if f.OK {
			fmt.Fprintf(w, "ok\t%s\t%d records\n", f.File, f.Records)
		} else {
			fmt.Fprintf(w, "FAIL\t%s\t%s\n", f.File, f.Problem)
		}
	}
	if len(v.Files) == 0 {
		fmt.Fprintln(w, "nothing to check: the only file is the one that the running agent writes to")
	}
	return w.Flush()
}

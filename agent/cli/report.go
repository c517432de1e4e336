package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/report"
	"roomcall/agent/report/story"
	"roomcall/agent/web"
)

// badShown is how many bad lines of an input are reported one by one.
const badShown = 10

// reportFlags choose what is told, and how.
type reportFlags struct {
	since, until, device, out string
	html                      bool
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report [FILE]",
		Short: "Say in words what happened: calls, causes, outages, gaps",
		Long: `Says what happened, from the records and nothing else: calls with grade and cause
and what to do, incidents, outages, gaps, the worst minutes, and what nobody knows.

Without FILE the records come from the store: those that wait, and delivered ones
that are still kept ([buffer] keep_delivered). With the agent running it goes through
the agent. FILE holds published or exported records, one JSON object a line, any
kinds, in any order, duplicates allowed; - is standard input. Times are in the zone of
this machine. --html makes one page with charts that needs nothing else.

A line that cannot be read is reported with its number and left out; then the exit
code is 1.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			o := story.Options{Filter: report.Filter{Device: f.device}, Store: len(list) == 0}
			var err, err2 error
			o.Since, err = parseTime("--since", f.since)
			o.Until, err2 = parseTime("--until", f.until)
			if err = errors.Join(err, err2); err == nil && !o.Until.IsZero() && !o.Until.After(o.Since) {
				err = errors.New("--until must be after --since")
			}
			if err != nil {
				return usageError{err}
			}
			return a.report(cmd.Context(), f, list, o)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.since, "since", "", "only records of this time (RFC 3339, ts_ms, or 10m = ten minutes ago) or later")
	fl.StringVar(&f.until, "until", "", "only records before this time (the same forms)")
	fl.StringVar(&f.device, "device", "", "only this device")
	fl.BoolVar(&f.html, "html", false, "as one HTML page with charts")
	fl.StringVar(&f.out, "out", "", "file to write (default: standard output)")
	return cmd
}

func (a *app) report(ctx context.Context, f reportFlags, list []string, o story.Options) error {
	cfg, _, err := a.look()
	if err != nil {
		if len(list) == 0 {
			return err
		}
		cfg = nil // a file needs no config
	}
	p := a.progress("reading records")
	bad := 0
	o.Bad = func(line int, err error) {
		if bad++; bad <= badShown {
			fmt.Fprintf(a.stderr, "%sline %d: %v\n", p.clear, line, err)
		}
	}
	var in io.ReadCloser
	if len(list) == 0 {
		in = storeReader(ctx, cfg, o.Filter)
	} else if in, err = openRecords(list, p); err != nil {
		p.end()
		return err
	}
	s, err := tell(ctx, io.TeeReader(in, p), o)
	in.Close()
	p.end()
	if failure := (storeFailure{}); errors.As(err, &failure) {
		return failure.error
	}
	if s == nil {
		return fmt.Errorf("report: %w", err)
	}
	if written := a.writeStory(s, f, story.Look{Lang: langOf(cfg), Zone: time.Local}); written != nil {
		return written
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// tell reads a story until ctx ends: a read of standard input cannot be ended, and is
// left to the end of the process.
func tell(ctx context.Context, in io.Reader, o story.Options) (*story.Story, error) {
	type result struct {
		s   *story.Story
		err error
	}
	told := make(chan result, 1)
	go func() {
		s, err := story.Read(in, o)
		told <- result{s, err}
	}()
	select {
	case r := <-told:
		return r.s, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// storeFailure is why the store cannot be read, whatever line that was at.
type storeFailure struct{ error }

// storeReader reads the records of the store that are of a time; those of the agent
// itself are among them, so the device is chosen later.
func storeReader(ctx context.Context, cfg *config.Config, f report.Filter) io.ReadCloser {
	r, w := io.Pipe()
	f.Device = ""
	go func() {
		err := exportStore(ctx, cfg, w, web.Filter{Filter: f, Delivered: true})
		if err != nil {
			err = storeFailure{err}
		}
		w.CloseWithError(err)
	}()
	return r
}

// writeStory writes to --out, or to standard output.
func (a *app) writeStory(s *story.Story, f reportFlags, look story.Look) error {
	write := s.WriteText
	if f.html {
		write = s.WriteHTML
	}
	if f.out == "" {
		return write(a.stdout, look)
	}
	file := &wholeFile{path: f.out}
	return file.finish(write(file, look))
}

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/agent/report"
)

// convertFlags are what ConvertOptions has in another type.
type convertFlags struct {
	to, since, until, metrics, zone string
	noSeries, suspected             bool
	o                               report.ConvertOptions
}

func (a *app) convertCommand() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert --to " + strings.Join(report.Views(), "|") + " [FILE]",
		Short: "Show records in the shape of another system's reply",
		Long: `Reads published or exported records (one JSON object a line, any kinds, in any
order, duplicates allowed) from FILE or standard input and writes one JSON
document in the shape of that system's reply. _meta says for each key whether it
is exact, approximate or absent.

One document is one reply. Where that is one call in the other system (zoom, agora
details, trtc), an input with several calls is refused with a list of them; choose
with --call, --device, --room, --since and --until. Parts, the first one being the
default:

` + partsHelp() + `
A line that cannot be read is reported with its number and left out; the others are
converted, and the exit code is 1.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			if err := errors.Join(f.options(), f.ofOthers(cmd.Flags().Changed)); err != nil {
				return usageError{err}
			}
			return a.convert(f.to, list, f.o)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.to, "to", "", strings.Join(report.Views(), ", "))
	fl.StringVar(&f.o.Part, "part", "", "the part of that system's interface, see above")
	fl.StringVar(&f.o.Call, "call", "", "only this call (call_id)")
	fl.StringArrayVar(&f.o.Devices, "device", nil, "only this device (DEVICE or CLIENT_ID/DEVICE); may be repeated")
	fl.StringVar(&f.o.Room, "room", "", "only this room (its name, or the device if it has none)")
	fl.StringVar(&f.o.ClientID, "client-id", "", "only this agent")
	fl.StringVar(&f.since, "since", "", "only from this time on (RFC 3339, ts_ms, or 10m = ten minutes ago)")
	fl.StringVar(&f.until, "until", "", "only up to this time (the same forms)")
	fl.StringVar(&f.metrics, "metric", "", "only these metrics, data types or indicators of that system, a comma list; none = no series")
	fl.IntVar(&f.o.Limit, "limit", 0, "entries of a page (default: that system's own)")
	fl.IntVar(&f.o.Page, "page", 0, "which page, from 0")
	fl.StringVar(&f.zone, "timezone", "UTC", "volc: where days begin: UTC, +08:00 or Asia/Shanghai")
	fl.BoolVar(&f.noSeries, "exclude-metrics", false, "the same as --metric none")
	fl.BoolVar(&f.o.Approximate, "include-approximate", false, "agora: also metrics that are approximate")
	fl.StringVar(&f.o.Granularity, "granularity", "5min", "volc: 5min or 1d")
	fl.BoolVar(&f.o.Swap, "swap", false, "zoom: exchange input and output")
	fl.BoolVar(&f.suspected, "suspected", false, "")
	_ = fl.MarkHidden("suspected") // a row of the diagnosis always has its exp_id now
	return cmd
}

// partsHelp lists the parts that can be chosen.
func partsHelp() string {
	var b strings.Builder
	for _, to := range report.Views() {
		fmt.Fprintf(&b, "  %-6s %s\n", to, strings.Join(report.ViewParts(to), ", "))
	}
	return b.String()
}

// options completes the options and checks them.
func (f *convertFlags) options() (err error) {
	if !slices.Contains(report.Views(), f.to) {
		return fmt.Errorf("convert needs --to %s, found %q", strings.Join(report.Views(), "|"), f.to)
	}
	var err2, err3 error
	f.o.Since, err = parseTime("--since", f.since)
	f.o.Until, err2 = parseTime("--until", f.until)
	if f.o.Zone, err3 = config.ParseZone(f.zone); err3 != nil {
		err3 = fmt.Errorf("--timezone: %w; use UTC, +08:00 or a name such as Asia/Shanghai", err3)
	}
	if err = errors.Join(err, err2, err3); err != nil {
		return err
	}
	if f.noSeries {
		f.metrics = report.NoMetrics
	}
	if f.metrics != "" {
		f.o.Metrics = strings.FieldsFunc(f.metrics, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return f.o.Check(f.to)
}

// ofOthers rejects options that another system has alone: they would do nothing.
func (f *convertFlags) ofOthers(given func(name string) bool) error {
	for _, x := range [][2]string{{"granularity", "volc"}, {"timezone", "volc"}, {"include-approximate", "agora"}, {"swap", "zoom"}} {
		if given(x[0]) && f.to != x[1] {
			return fmt.Errorf("--%s is for --to %s; it does nothing for %s", x[0], x[1], f.to)
		}
	}
	return nil
}

func (a *app) convert(to string, list []string, o report.ConvertOptions) error {
	p := a.progress("reading records")
	in, err := openRecords(list, p)
	if err != nil {
		p.end()
		return err
	}
	defer in.Close()
	o.Bad = func(line int, err error) { fmt.Fprintf(a.stderr, "%sline %d: %v\n", p.clear, line, err) }
	o.Empty = func(others []string) { fmt.Fprintln(a.stderr, p.clear+"convert: "+nothingToConvert(o, others)) }
	doc, bad := report.Convert(to, io.TeeReader(in, p), o)
	p.end()
	if doc == nil {
		return bad
	}
	if _, err := a.stdout.Write(append(bytes.TrimRight(doc, "\n"), '\n')); err != nil {
		return err
	}
	return bad
}

// openRecords opens the file of a command's arguments; "-" and none are standard input.
func openRecords(list []string, p *progress) (io.ReadCloser, error) {
	if len(list) == 0 || list[0] == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(list[0])
	if err != nil {
		return nil, fmt.Errorf("open records: %w", err)
	}
	if st, err := f.Stat(); err == nil {
		p.set(0, st.Size())
	}
	return f, nil
}

// nothingToConvert says why a document is empty.
func nothingToConvert(o report.ConvertOptions, others []string) string {
	if len(others) == 0 {
		return "the input has nothing that is asked for; the document is empty"
	}
	var asked []string
	for _, device := range o.Devices {
		asked = append(asked, "device "+device)
	}
	if o.Room != "" {
		asked = append(asked, "room "+o.Room)
	}
	if o.ClientID != "" {
		asked = append(asked, "agent "+o.ClientID)
	}
	return host.Printable(fmt.Sprintf("the input has no record of %s; it has %s", strings.Join(asked, ", "), strings.Join(others, ", ")))
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Show the JSON Schema of a payload, or the AsyncAPI document",
		Long: `Shows the JSON Schema (2020-12) of a kind: ` + strings.Join(report.SchemaKinds(), ", ") + `.
Without a kind it shows the AsyncAPI 3 document of all topics.`,
		Args:      args(cobra.MaximumNArgs(1)),
		ValidArgs: report.SchemaKinds(),
		RunE: func(_ *cobra.Command, list []string) error {
			doc, err := report.AsyncAPI()
			if len(list) > 0 {
				if doc, err = report.Schema(list[0]); err != nil {
					return usageError{err}
				}
			}
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(doc)
			return err
		},
	}
}

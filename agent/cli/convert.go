package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roomcall/agent/host"
	"roomcall/agent/report"
)

func (a *app) convertCommand() *cobra.Command {
	var to string
	var o report.ConvertOptions
	cmd := &cobra.Command{
		Use:   "convert --to " + strings.Join(report.Views(), "|") + " [FILE]",
		Short: "Show records in the shape of another system's reply",
		Long: `Reads published or exported records (one JSON object a line, any kinds, in any
order, duplicates allowed) from FILE or standard input and writes one JSON
document in the shape of that system's reply. _meta says for each key whether it
is exact, approximate or absent.

A line that cannot be read is reported with its number and left out; the others are
converted, and the exit code is 1.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, list []string) error {
			if !slices.Contains(report.Views(), to) {
				return usageError{fmt.Errorf("convert needs --to %s, found %q", strings.Join(report.Views(), "|"), to)}
			}
			if err := o.Check(to); err != nil {
				return usageError{err}
			}
			return a.convert(to, list, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", strings.Join(report.Views(), ", "))
	f.StringVar(&o.Device, "device", "", "only this device (DEVICE or CLIENT_ID/DEVICE)")
	f.StringVar(&o.Part, "part", "", "agora: only details, lists, live or diagnosis")
	f.BoolVar(&o.Approximate, "include-approximate", false, "agora: also metrics that are approximate")
	f.BoolVar(&o.Suspected, "suspected", false, "agora: also experiences that are suspected, not measured")
	f.StringVar(&o.Granularity, "granularity", "5min", "volc: 5min or 1d")
	f.BoolVar(&o.Swap, "swap", false, "zoom: exchange input and output")
	return cmd
}

func (a *app) convert(to string, list []string, o report.ConvertOptions) error {
	in := io.Reader(os.Stdin)
	if len(list) > 0 && list[0] != "-" {
		f, err := os.Open(list[0])
		if err != nil {
			return fmt.Errorf("open records: %w", err)
		}
		defer f.Close()
		in = f
	}
	o.Bad = func(line int, err error) { fmt.Fprintf(a.stderr, "line %d: %v\n", line, err) }
	o.Empty = func(devices []string) { fmt.Fprintln(a.stderr, "convert: "+nothingToConvert(o.Device, devices)) }
	doc, bad := report.Convert(to, in, o)
	if doc == nil {
		return bad
	}
	if _, err := a.stdout.Write(append(bytes.TrimRight(doc, "\n"), '\n')); err != nil {
		return err
	}
	return bad
}

// nothingToConvert says why a document is empty.
func nothingToConvert(device string, others []string) string {
	if len(others) == 0 {
		return "the input has no record; the document is empty"
	}
	return fmt.Sprintf("the input has no record of device %s; it has %s", device, host.Printable(strings.Join(others, ", ")))
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

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/buffer"
)

// verdict is one checked file of the store.
type verdict struct {
	File    string `json:"file"`
	Records uint64 `json:"records"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

// verification is the JSON of `buffer verify --json`.
type verification struct {
	OK    bool      `json:"ok"`
	Files []verdict `json:"files"`
}

func verdictsJSON(list []buffer.Verdict) verification {
	out := verification{OK: true, Files: []verdict{}}
	for _, v := range list {
		one := verdict{File: v.Segment, Records: v.Records, OK: v.Err == nil}
		if v.Err != nil {
			one.Problem, out.OK = v.Err.Error(), false
		}
		out.Files = append(out.Files, one)
	}
	return out
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
			v, err := verifyStore(cmd.Context(), cfg)
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
func verifyStore(ctx context.Context, cfg *config.Config) (v verification, err error) {
	list, err := buffer.VerifyDir(cfg.Agent.DataDir, verifyCommand())
	if err == nil {
		return verdictsJSON(list), nil
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

func (a *app) showVerification(v verification, asJSON bool) error {
	if asJSON {
		if err := a.printJSON(v); err != nil {
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

func (a *app) verificationTable(v verification) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	for _, f := range v.Files {
		if f.OK {
			fmt.Fprintf(w, "ok\t%s\t%d records\n", f.File, f.Records)
		} else {
			fmt.Fprintf(w, "FAIL\t%s\t%s\n", f.File, f.Problem)
		}
	}
	if len(v.Files) == 0 {
		fmt.Fprintln(w, "nothing to check: there is no file but the one that the running agent writes to")
	}
	return w.Flush()
}

// verifyCommand is the command line of the child process that checks a file of
// the store: a damaged file can end the process that reads it.
func verifyCommand() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{self, "buffer", "verify-segment"}
}

// verifySegmentCommand is the child process of verifyCommand.
func verifySegmentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "verify-segment FILE",
		Hidden: true,
		Args:   args(cobra.ExactArgs(1)),
		Run: func(_ *cobra.Command, list []string) {
			os.Exit(buffer.VerifyMain(list))
		},
	}
}

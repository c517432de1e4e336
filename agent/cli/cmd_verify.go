package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/run"
	"roomcall/buffer"
)

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
func verifyStore(ctx context.Context, cfg *config.Config) (v run.Verification, err error) {
	list, err := buffer.VerifyDir(cfg.Agent.DataDir, run.VerifyCommand())
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
		fmt.Fprintln(w, "nothing to check: there is no file but the one that the running agent writes to")
	}
	return w.Flush()
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

package main

import (
	"io"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or make configs",
		Args:  noArgs,
		RunE:  group("config", "show"),
	}
	cmd.AddCommand(a.configShowCommand())
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	var effective bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the config with secrets redacted",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, warnings, err := a.load()
			if err != nil {
				return err
			}
			a.warn(warnings)
			text := cfg.AsWritten()
			if effective {
				text = cfg.Effective()
			}
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "every key with its value and where the value comes from")
	return cmd
}

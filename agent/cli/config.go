package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or make configs",
		Args:  noArgs,
		RunE:  group("config", "show or render"),
	}
	cmd.AddCommand(a.configShowCommand(), a.configRenderCommand())
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	var effective bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the config with secrets redacted",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, warnings, err := a.look()
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

func (a *app) configRenderCommand() *cobra.Command {
	var rooms, template, out string
	var o config.RenderOptions
	cmd := &cobra.Command{
		Use:   "render --rooms rooms.csv --template agent.toml --out DIR",
		Short: "Make one config per room from a CSV",
		Long: `Makes DIR/<client_id>/agent.toml for every row of the CSV. Its first line names
the columns; {{column}} in a text of the template becomes the row's value. Every
config is checked before anything is written.`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if rooms == "" || template == "" || out == "" {
				return usageError{errors.New("config render needs --rooms, --template and --out")}
			}
			done, err := config.Render(rooms, template, out, o)
			a.warn(done.Warnings)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%d configs written to %s\n", len(done.Files), out)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&rooms, "rooms", "", "CSV file, one room a row")
	f.StringVar(&template, "template", "", "config with {{column}} in its texts")
	f.StringVar(&out, "out", "", "folder to write to")
	f.BoolVar(&o.AllowSecrets, "allow-secrets", false, "allow passwords from the CSV or the template in the configs")
	return cmd
}

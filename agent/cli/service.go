package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/service"
)

const serviceName = "roomcall"

func (a *app) serviceCommands() []*cobra.Command {
	verbs := []struct {
		name, short string
		do          func(service.Manager, context.Context) error
	}{
		{"uninstall", "Stop and remove the service; config and data stay", service.Manager.Uninstall},
		{"start", "Start the service", service.Manager.Start},
		{"stop", "Stop the service", service.Manager.Stop},
		{"restart", "Restart the service", service.Manager.Restart},
	}
	out := []*cobra.Command{a.installCommand()}
	for _, v := range verbs {
		out = append(out, &cobra.Command{
			Use: v.name, Short: v.short, Args: args(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				m, err := service.NewManager(service.Config{Name: serviceName})
				if err == nil {
					err = v.do(m, cmd.Context())
				}
				if err != nil {
					return fmt.Errorf("%s the service: %w", v.name, err)
				}
				err = a.printServiceState(cmd.Context(), m)
				if err == nil && v.name != "stop" && v.name != "uninstall" && waitsForConfig(config.DefaultPath()) {
					err = fmt.Errorf("%s the service: %s", v.name, noConfigYet) // no failure for systemd
				}
				return err
			},
		})
	}
	return out
}

const noConfigYet = "it waits for a config: `roomcall init` makes one"

// waitsForConfig: there is nothing at path, nor in conf.d beside it, so that the
// service that a package brings does not start.
func waitsForConfig(path string) bool {
	_, _, err := config.Load(path, config.Options{Elsewhere: true})
	return errors.Is(err, fs.ErrNotExist)
}

func (a *app) installCommand() *cobra.Command {
	var credentials map[string]string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the service (systemd, Windows); a repeated install upgrades it",
		Long: `Installs the service so that it starts with the machine, running this binary with
the config that --config or ROOMCALL_CONFIG names. It does not start it. A
repeated install upgrades. Administrator rights are needed.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.install(cmd.Context(), credentials)
		},
	}
	cmd.Flags().StringToStringVar(&credentials, "credential", nil,
		"NAME=FILE: systemd hands the secret file over as ${CREDENTIALS_DIRECTORY}/NAME")
	return cmd
}

func (a *app) install(ctx context.Context, credentials map[string]string) error {
	path, err := filepath.Abs(config.ResolvePath(a.configFlag, a.getenv))
	if err != nil {
		return err
	}
	cfg, warnings, err := config.Load(path, config.Options{Elsewhere: len(credentials) > 0})
	if err != nil {
		return err
	}
	a.warn(warnings)
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	c := service.Config{
		Name: serviceName, DisplayName: "roomcall",
		Description: "Call quality of the room's video system over MQTT",
		Binary:      binary, Args: []string{"--config", path, "run"},
		ConfigFile: path, DataDir: cfg.Agent.DataDir,
	}
	for name, file := range credentials {
		c.Credentials = append(c.Credentials, service.Credential{Name: name, File: file})
	}
	m, err := service.NewManager(c)
	if err == nil {
		err = m.Install(ctx)
	}
	if err == nil {
		err = shareSecrets(cfg)
	}
	if err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	return a.printServiceState(ctx, m)
}

// shareSecrets lets the service's user read the secret files that lie beside the
// config, as it may read the config itself.
func shareSecrets(cfg *config.Config) error {
	dir := filepath.Dir(cfg.Path)
	for _, s := range cfg.Settings() {
		file, err := strconv.Unquote(s.Value)
		if s.Name != "password_file" || err != nil || file == "" {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if filepath.Dir(file) != dir {
			continue
		}
		if err := forService(file, true); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printServiceState(ctx context.Context, m service.Manager) error {
	st, err := m.Status(ctx)
	if err != nil {
		return fmt.Errorf("read the service's state: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "service: %s\n", st.State)
	return err
}

// serviceState is what the service manager knows, for an agent that does not
// answer; "" when there is no manager to ask.
func serviceState(ctx context.Context) string {
	m, err := service.NewManager(service.Config{Name: serviceName})
	if err != nil {
		return ""
	}
	st, err := m.Status(ctx)
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return string(service.NotInstalled)
	case err != nil:
		return ""
	case st.State == service.Stopped && waitsForConfig(config.DefaultPath()):
		return string(st.State) + ", " + noConfigYet
	case st.Detail != "":
		return fmt.Sprintf("%s (%s)", st.State, st.Detail)
	default:
		return string(st.State)
	}
}

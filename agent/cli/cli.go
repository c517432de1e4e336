// Package cli is the command line: one file a command.
//
// Promise: results go to stdout, logs and errors to stderr; exit code 0 done and
// well, 1 what was asked did not work, 2 wrong usage or wrong config; no command
// takes a secret as an argument.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
)

// Exit codes of every command.
const (
	exitOK    = 0 // done and well
	exitFail  = 1 // what was asked did not work
	exitUsage = 2 // wrong usage or wrong config
)

// usageError is a call that was wrong as typed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errReportedConfig is a wrong config that is on the screen already.
var errReportedConfig = errors.New("reported: wrong config")

// errReported marks a failure whose text is on the screen already.
var errReported = errors.New("reported")

// app is what the commands share.
type app struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	configFlag     string
	version        string
	log            *host.Sink // of the agent that runs, nil = none runs
	logProblem     string     // why the log is not where it should be, "" = it is
}

// Main runs one command line and returns its exit code. version is this binary's. SIGINT
// and SIGTERM end the command's context.
func Main(ctx context.Context, version string, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	a := &app{version: version, stdout: stdout, stderr: stderr, getenv: getenv}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if a.log != nil {
		a.stderr = a.log // a reader who is stuck does not keep the agent from ending
		defer a.log.Flush(flushPatience)
	}
	return a.exit(err)
}

// exit prints an error once and chooses the exit code.
func (a *app) exit(err error) int {
	var usage usageError
	var wrong config.Errors
	var other run.ConfigError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFail
	case errors.Is(err, errReportedConfig):
		return exitUsage
	case errors.As(err, &other):
		fmt.Fprintf(a.stderr, "roomcall: %v\n", err)
		return exitUsage
	case errors.As(err, &wrong):
		fmt.Fprintln(a.stderr, err)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "roomcall: %v\nRun 'roomcall help' for the commands.\n", err)
		return exitUsage
	case err == context.Canceled: // wrapped, it says what was interrupted
		fmt.Fprintln(a.stderr, "roomcall: interrupted")
		return exitFail
	default:
		fmt.Fprintf(a.stderr, "roomcall: %s\n", printableLines(err.Error()))
		if hint := langOf(nil).Hint(err); hint != "" {
			fmt.Fprintf(a.stderr, "hint: %s\n", host.Printable(hint))
		}
		return exitFail
	}
}

// extraCommands are commands that only some builds have.
var extraCommands []func(root *cobra.Command) *cobra.Command

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "roomcall",
		Short: "Call quality of a room's video system, kept safe and published over MQTT",
		Long: `roomcall polls the video endpoint beside it, keeps every sample safe on disk
and publishes it over MQTT.

Exit codes: 0 done and well, 1 what was asked did not work, 2 wrong usage or
wrong config. Results go to stdout, logs and errors to stderr.`,
		Version:       a.version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          group("roomcall", "see the list above"),
	}
	root.PersistentFlags().StringVar(&a.configFlag, "config", "",
		"config file (default: $ROOMCALL_CONFIG, else "+config.DefaultPath()+")")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		a.initCommand(), a.runCommand(), a.checkCommand(), a.pollCommand(), a.statusCommand(), a.watchCommand(),
		a.bufferCommand(), a.configCommand(), a.simulateCommand(), a.convertCommand(), a.forgetCommand(), a.reportCommand(),
		a.schemaCommand(), a.diagCommand(), a.versionCommand(),
	)
	root.AddCommand(a.serviceCommands()...)
	for _, extra := range extraCommands {
		root.AddCommand(extra(root))
	}
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err == nil {
		completion.Args, completion.RunE = noArgs, group("completion", "bash, fish, powershell or zsh")
		for _, shell := range completion.Commands() {
			shell.Args = args(cobra.NoArgs)
		}
	}
	root.SetHelpCommand(helpCommand())
	return root
}

// helpCommand is cobra's, but an unknown topic is wrong usage.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, list []string) error {
			topic, rest, err := cmd.Root().Find(list)
			if err != nil || topic == nil || len(rest) > 0 {
				return usageError{fmt.Errorf("unknown help topic %q", strings.Join(list, " "))}
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

// group is the run function of a command that only holds others.
func group(name, allowed string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help()
		return usageError{fmt.Errorf("%s needs a command: %s", name, allowed)}
	}
}

// args makes a positional check that counts as wrong usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error {
		if err := check(cmd, list); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func noArgs(cmd *cobra.Command, list []string) error {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("unknown command %q", list[0])
	if near := cmd.SuggestionsFor(list[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	} else if len(names) > 0 {
		text += "; commands: " + strings.Join(names, ", ")
	}
	return usageError{errors.New(text)}
}

// look reads the config for a command that needs no secrets: variables that are
// not set and secret files that cannot be read are no errors.
func (a *app) look() (*config.Config, []config.Warning, error) {
	return config.Load(config.ResolvePath(a.configFlag, a.getenv), config.Options{Elsewhere: true})
}

// load reads the config that the flags and the environment name.
func (a *app) load() (*config.Config, []config.Warning, error) {
	path := config.ResolvePath(a.configFlag, a.getenv)
	return config.Load(path, config.Options{})
}

// langOf is the language of what people read: as configured, else as the user's.
func langOf(cfg *config.Config) health.Lang {
	if cfg == nil {
		return health.Language("", host.Locale())
	}
	return health.Language(cfg.Agent.Language, host.Locale())
}

// printableLines is host.Printable for a text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = host.Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// warn prints what the config's reader noticed.
func (a *app) warn(warnings []config.Warning) {
	for _, w := range warnings {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
}

// writeJSON writes v as indented JSON.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

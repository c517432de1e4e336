package cli

import (
	"context"
	"log/slog"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/service"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground (what the service runs)",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := a.load()
			if err != nil {
				return err
			}
			// Go ends a process that writes to a standard error which nobody reads any
			// more. The log decides over nothing here.
			signal.Ignore(syscall.SIGPIPE)
			// A panic otherwise ends with exit code 2, that of a wrong config, after
			// which systemd does not start the service again.
			debug.SetTraceback("crash")
			a.beLean()
			s := run.NewSupervisor(a.version, a.load, a.newLogger)
			opts := service.Options{
				Name: serviceName, Alive: s.Alive, StatusLine: s.StatusLine, Reload: s.AskReload,
				Logger: a.newLogger(cfg.Agent), Alarms: func() []service.Alarm { return alarmsOf(s.Problems()) },
			}
			s.Log, s.LogProblem = a.log, a.logProblem
			return service.Run(cmd.Context(), opts, func(ctx context.Context, ready func()) error {
				return s.Run(ctx, cfg, warnings, ready)
			})
		},
	}
	// Version 0.1.0 installed Windows services with this flag; it says nothing any
	// more, and they still have to start after an upgrade.
	cmd.Flags().Bool("as-service", false, "")
	_ = cmd.Flags().MarkHidden("as-service")
	return cmd
}

// beLean sets what the process costs; GOMAXPROCS and GOGC in the environment have the last
// word. One processor at a time is enough, because the loops mostly wait: on several they
// wake each other's threads for a few microseconds of work each. The price: while a page of
// the store that memory no longer has comes from a disk that hangs, all loops wait for it,
// as on several they would at the next garbage collection. More than gcPercent costs memory,
// less costs CPU time.
func (a *app) beLean() {
	if a.getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// gcPercent is by how much the heap may grow until the next garbage collection.
const gcPercent = 50

type alarmKind struct {
	code string
	kind uint32
}

// alarmKinds are the kinds of the Windows Event Log by the beginning of a problem's
// code, the first that fits; docs/windows.md has them for the tools that collect events.
var alarmKinds = []alarmKind{
	{"endpoint_poor_call", 500}, {"store_", 200}, {"disk_", 200}, {"broker_", 300}, {"endpoint_", 400},
	{"clock_", 600}, {"page_", 700}, {"log_", 700}, {"", 100},
}

// alarmsOf are problems as the Windows Event Log has them.
func alarmsOf(problems []health.Problem) []service.Alarm {
	var out []service.Alarm
	for _, p := range problems {
		if p.Severity == health.Info {
			continue
		}
		at := slices.IndexFunc(alarmKinds, func(k alarmKind) bool { return strings.HasPrefix(p.Code, k.code) })
		text := host.Printable(p.What) + " (" + p.Code + ")"
		if p.Hint != "" {
			text += "\r\nNext: " + host.Printable(p.Hint)
		}
		key := p.Code + " " + p.Device
		if p.Code == "warning" {
			key += p.What // a text of the config's reader, of which there may be several
		}
		out = append(out, service.Alarm{Key: key, Kind: alarmKinds[at].kind, Bad: p.Bad, Text: text})
	}
	return out
}

// flushPatience bounds how long the end of the agent waits for its last log lines.
const flushPatience = time.Second

// openLog makes the log's sink, one for all configs of a run: a Windows service
// logs into its own file, all others to standard error.
func (a *app) openLog(cfg config.Agent) (problem error) {
	if a.log != nil {
		return nil
	}
	out := a.stderr
	if service.IsWindowsService() {
		out, _, problem = host.LogFile(cfg.DataDir)
	}
	a.log = host.NewSink(out)
	return problem
}

// newLogger logs as the config says.
func (a *app) newLogger(cfg config.Agent) *slog.Logger {
	problem := a.openLog(cfg)
	log := host.NewLogger(host.LogOptions{
		Level: cfg.LogLevel, Format: cfg.LogFormat, Out: a.log, JournalStream: a.getenv("JOURNAL_STREAM"),
	})
	if problem != nil {
		a.logProblem = problem.Error()
		log.Warn("the log is not where it should be", "err", problem)
	}
	return log
}

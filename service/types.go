package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// StopPatience is the longest time between a stop request and the end of the
// process under Windows. At a shutdown Windows kills services after about 5 s.
const StopPatience = 3 * time.Second

// Options of Run. Only Name is required.
type Options struct {
	// Name of the service, "roomcall".
	Name string
	// Alive reports whether the work moves: nil feeds the watchdog, an error
	// names what is stuck. It must return at once. nil = always alive.
	Alive func() error
	// StatusLine returns one line for `systemctl status`; it is asked at every
	// beat of the watchdog.
	StatusLine func() string
	// Alarms are what is wrong now, for the Windows Event Log; nil = none. It must
	// return soon: a stop waits for it.
	Alarms func() []Alarm
	// Reload is called when the Windows service manager sends "parameters
	// changed"; under systemd a reload is SIGHUP, which the caller handles.
	Reload func()
	// Logger; nil = none.
	Logger *slog.Logger
}

// Work is what the service does. It calls ready once, when start-up is done,
// and returns soon after ctx ends: nil for an orderly end, an error for a
// failure from which the service manager should recover.
type Work func(ctx context.Context, ready func()) error

// Manager installs and controls one service.
type Manager interface {
	// Install makes the service known and lets it start with the machine; it
	// does not start it. On an installed service it upgrades: the definition is
	// replaced, and a running service is restarted. If it fails, things are as
	// before.
	Install(ctx context.Context) error
	// Uninstall stops and removes the service. Config and data stay.
	Uninstall(ctx context.Context) error
	// Start, Stop and Restart return when it is done or has failed. Starting a
	// service that runs, or stopping one that does not, is no error.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	Status(ctx context.Context) (Status, error)
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotInstalled: there is no service of that name.
	ErrNotInstalled = errors.New("the service is not installed")
	// ErrPrivileges: only an administrator may do this.
	ErrPrivileges = errors.New("administrator rights are needed")
	// ErrNoManager: this system has no service manager that is supported.
	ErrNoManager = errors.New("no supported service manager here (systemd or Windows); let your own supervisor start `roomcall run`")
	// ErrPackaged: the service belongs to a package of the system.
	ErrPackaged = errors.New("the service was installed by a package; remove it with the package manager")
)

// Status is what the service manager reports.
type Status struct {
	State    State
	Enabled  bool      // starts with the machine
	PID      int       // 0 = no process
	Restarts int       // by the service manager, since the last start by hand; systemd only
	Since    time.Time // when this state began; zero = not reported
	ExitCode int       // of the last process; 0 = none or good
	Detail   string    // the manager's own words, or the service's status line
}

// State of a service.
type State string

// The states. Restarting means that the service failed and the service manager
// starts it again by itself.
const (
	NotInstalled State = "not installed"
	Stopped      State = "stopped"
	Starting     State = "starting"
	Running      State = "running"
	Reloading    State = "reloading"
	Stopping     State = "stopping"
	Failed       State = "failed"
	Restarting   State = "restarting"
	Unknown      State = "unknown"
)

// Config describes the service to install.
type Config struct {
	Name        string // also the user, and the state folder below /var/lib; "roomcall"
	DisplayName string
	Description string
	Binary      string   // absolute path of the executable
	Args        []string // for example "--config", "/etc/roomcall/agent.toml", "run"
	ConfigFile  string   // absolute; made readable for the service
	DataDir     string   // absolute; made writable for the service
	// Credentials are handed over by systemd as files below
	// $CREDENTIALS_DIRECTORY; Windows ignores them.
	Credentials []Credential
}

// Credential is a secret file that only root can read.
type Credential struct {
	Name string // file name below $CREDENTIALS_DIRECTORY
	File string // absolute path
}

var (
	// serviceName is also a user name on Linux, hence the length.
	serviceName    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	credentialName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
)

// validate checks what an install needs. A control character is refused
// everywhere, because a line break would add lines to a unit file.
func (c Config) validate() error {
	texts := append([]string{c.DisplayName, c.Description}, c.Args...)
	absolute := map[string]string{"binary": c.Binary, "config file": c.ConfigFile, "data folder": c.DataDir}
	for _, cr := range c.Credentials {
		if !credentialName.MatchString(cr.Name) {
			return fmt.Errorf("install service: credential name %q: 1 to 64 letters, digits, _ . and -", cr.Name)
		}
		absolute["credential "+cr.Name] = cr.File
	}
	for what, path := range absolute {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("install service: %s %q is not an absolute path", what, path)
		}
		texts = append(texts, path)
	}
	if filepath.Dir(c.DataDir) == filepath.Clean(c.DataDir) {
		return fmt.Errorf("install service: data folder %s is a whole volume", c.DataDir)
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("install service: %q contains a control character", text)
		}
	}
	return nil
}

package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"
)

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

// State is where a service stands.
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

// Status is what the service manager says.
type Status struct {
	State    State
	Enabled  bool      // starts with the machine
	PID      int       // 0 = no process
	Restarts int       // by the service manager, since the last start by hand; systemd only
	Since    time.Time // when this state began; zero = not said
	ExitCode int       // of the last process; 0 = none or good
	Detail   string    // the manager's own words, or the service's status line
}

// Manager installs and controls one service.
type Manager interface {
	// Install makes the service known and lets it start with the machine; it
	// does not start it. On an installed service it upgrades: the definition is
	// replaced, and a running service is restarted. If it fails, things are as
	// before.
	Install(ctx context.Context) error
	// Uninstall stops and removes the service. Config and data stay.
	Uninstall(ctx context.Context) error
	// Start, Stop and Restart return when it is done or has failed. Starting
	// what runs, and stopping what does not, is no error.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	Status(ctx context.Context) (Status, error)
}

// NewManager gives the service manager of this system. To control a service,
// Config.Name is enough.
func NewManager(c Config) (Manager, error) {
	if !serviceName.MatchString(c.Name) {
		return nil, fmt.Errorf("service name %q: 1 to 31 of a-z, 0-9 and -, starting with a letter", c.Name)
	}
	return newManager(c)
}

// serviceName is also a user name on Linux, hence the length.
var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

var credentialName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// validate checks what an install needs.
func (c Config) validate() error {
	for what, path := range map[string]string{"binary": c.Binary, "config file": c.ConfigFile, "data folder": c.DataDir} {
		if err := absolute(what, path); err != nil {
			return err
		}
	}
	if filepath.Dir(c.DataDir) == filepath.Clean(c.DataDir) {
		return fmt.Errorf("install service: data folder %s is a whole volume", c.DataDir)
	}
	for _, arg := range append([]string{c.DisplayName, c.Description}, c.Args...) {
		if hasControl(arg) {
			return fmt.Errorf("install service: %q holds a control character", arg)
		}
	}
	for _, cr := range c.Credentials {
		if !credentialName.MatchString(cr.Name) {
			return fmt.Errorf("install service: credential name %q: 1 to 64 letters, digits, _ . and -", cr.Name)
		}
		if err := absolute("credential "+cr.Name, cr.File); err != nil {
			return err
		}
	}
	return nil
}

func absolute(what, path string) error {
	if !filepath.IsAbs(path) || hasControl(path) {
		return fmt.Errorf("install service: %s %q is no absolute path", what, path)
	}
	return nil
}

func hasControl(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return true
		}
	}
	return false
}

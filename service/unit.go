package service

import (
	"fmt"
	"path"
	"strings"
)

// stateRoot is where systemd keeps the state folders of services.
const stateRoot = "/var/lib"

// Unit returns the text of the systemd unit for c. The packages ship the same text,
// so that every way of installing gives the same service.
func Unit(c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, unitHead, escape(c.Description), commandLine(c), c.Name, escape(c.ConfigFile), escape(path.Dir(c.ConfigFile)))
	if c.DataDir == path.Join(stateRoot, c.Name) {
		fmt.Fprintf(&b, "StateDirectory=%s\nStateDirectoryMode=0750\n", c.Name)
	} else {
		fmt.Fprintf(&b, "ReadWritePaths=%s\n", quote(c.DataDir))
	}
	b.WriteString("# Secrets that only root can read, as ${CREDENTIALS_DIRECTORY}/NAME in the config:\n" +
		"# LoadCredential=NAME:/path/of/the/secret\n")
	for _, cr := range c.Credentials {
		fmt.Fprintf(&b, "LoadCredential=%s:%s\n", cr.Name, escape(cr.File))
	}
	b.WriteString(unitHardening)
	return b.String()
}

// unitHead: the service is ready when it says so, is ended when it is stuck, and
// is started again two seconds later for as long as it takes: nobody is in the
// room to press a button. With a wrong config (exit code 2) a restart changes
// nothing, so the service stays down and failed, for everybody to see. Without any
// config it waits, which is no failure.
const unitHead = `[Unit]
Description=%[1]s
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
# Without a config it waits: "roomcall init" makes one.
ConditionPathExists=|%[4]s
ConditionPathExistsGlob=|%[5]s/conf.d/*.toml

[Service]
Type=notify
NotifyAccess=main
ExecStart=%[2]s
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
RestartPreventExitStatus=2
WatchdogSec=60
TimeoutStartSec=60
TimeoutStopSec=10
KillMode=mixed
SyslogIdentifier=%[3]s
User=%[3]s
Group=%[3]s
`

// unitHardening leaves the service what it needs: reading the system and its
// config, writing its state, TCP and UDP, and the notify socket. The address
// families keep the local HTTP, endpoints, the broker and DNS working. Raising
// the limit of open files is refused with EPERM, which Go's runtime accepts.
const unitHardening = `
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
PrivateMounts=yes
DevicePolicy=closed
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

LimitCORE=0
LimitNOFILE=4096
TasksMax=256
MemoryMax=256M
Environment=GOMEMLIMIT=200MiB

[Install]
WantedBy=multi-user.target
`

// Sysusers returns the sysusers.d(5) text that creates the service's user.
func Sysusers(c Config) string {
	return fmt.Sprintf("u %s - %s %s -\n", c.Name, sysuserQuote(c.Description), path.Join(stateRoot, c.Name))
}

func sysuserQuote(s string) string {
	return `"` + strings.NewReplacer(`"`, ``, `\`, ``, `:`, ``, `%`, `%%`).Replace(s) + `"`
}

// escape keeps systemd from reading a percent sign as a specifier.
func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// commandLine is the value of ExecStart. In the arguments a dollar sign is
// doubled because it starts a variable there; in the program's path it does not.
func commandLine(c Config) string {
	line := quote(c.Binary)
	for _, arg := range c.Args {
		line += " " + quote(strings.ReplaceAll(arg, "$", "$$"))
	}
	return line
}

// quote writes one word (systemd.syntax(7)).
func quote(s string) string {
	s = escape(s)
	if s != "" && !strings.ContainsAny(s, " \"'\\;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

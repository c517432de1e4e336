package service

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// shown are the properties that systemd is asked for.
const shown = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result,ExecMainStatus,StateChangeTimestamp,StatusText,FragmentPath"

// show asks systemd for the unit's properties.
func (s *systemd) show(ctx context.Context) (map[string]string, error) {
	out, err := s.run(ctx, "systemctl", "show", s.c.Name+".service", "--property="+shown)
	if err != nil {
		return nil, err
	}
	p := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			p[key] = value
		}
	}
	return p, nil
}

func (s *systemd) Status(ctx context.Context) (Status, error) {
	p, err := s.show(ctx)
	if err != nil {
		return Status{State: Unknown}, fmt.Errorf("ask systemd for %s: %w", s.c.Name, err)
	}
	return statusOf(p), nil
}

// statusOf reads systemd's properties (org.freedesktop.systemd1(5)).
func statusOf(p map[string]string) Status {
	st := Status{
		State:    stateOf(p),
		Enabled:  strings.HasPrefix(p["UnitFileState"], "enabled"),
		PID:      number(p["MainPID"]),
		Restarts: number(p["NRestarts"]),
		ExitCode: number(p["ExecMainStatus"]),
	}
	if t, err := time.Parse("Mon 2006-01-02 15:04:05 MST", p["StateChangeTimestamp"]); err == nil {
		st.Since = t.UTC()
	}
	st.Detail = detailOf(st.State, p)
	return st
}

// detailOf leaves out what the service said about itself before it ended; only
// its reason for a failure still counts then.
func detailOf(state State, p map[string]string) string {
	said := p["StatusText"]
	switch {
	case p["LoadState"] == "masked":
		return "masked by the administrator; see `systemctl unmask`"
	case state == Stopped:
		return ""
	case state != Failed && state != Restarting:
		return said
	case strings.HasPrefix(said, "failed"):
		return "result: " + p["Result"] + ", " + said
	}
	return "result: " + p["Result"]
}

func stateOf(p map[string]string) State {
	switch p["LoadState"] {
	case "loaded":
	case "not-found":
		return NotInstalled
	case "masked":
		return Stopped
	default:
		return Unknown
	}
	if strings.HasPrefix(p["SubState"], "auto-restart") {
		return Restarting
	}
	switch p["ActiveState"] {
	case "active":
		return Running
	case "reloading":
		return Reloading
	case "activating":
		return Starting
	case "deactivating":
		return Stopping
	case "failed":
		return Failed
	case "inactive":
		return Stopped
	}
	return Unknown
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

package service

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusTellsTheStatesApart(t *testing.T) {
	for _, c := range []struct {
		show string
		want Status
	}{
		{absent, Status{State: NotInstalled}},
		{running + "NRestarts=3\nStatusText=2 rooms, broker connected\nStateChangeTimestamp=Sun 2026-03-01 12:00:00 UTC\n",
			Status{State: Running, Enabled: true, PID: 42, Restarts: 3, Detail: "2 rooms, broker connected", Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nResult=exit-code\nExecMainStatus=1\n",
			Status{State: Restarting, Enabled: true, ExitCode: 1, Detail: "result: exit-code"}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart-queued\nResult=watchdog\n", Status{State: Restarting, Detail: "result: watchdog"}},
		{"LoadState=loaded\nActiveState=activating\nSubState=start\nMainPID=7\n", Status{State: Starting, PID: 7}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nStatusText=failed: agent.toml:1: bad\n",
			Status{State: Restarting, Detail: "result: exit-code, failed: agent.toml:1: bad"}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=signal\nStatusText=all well\n", Status{State: Restarting, Detail: "result: signal"}},
		{"LoadState=loaded\nActiveState=inactive\nSubState=dead\nStatusText=stopping\n", Status{State: Stopped}},
		{"LoadState=loaded\nActiveState=deactivating\nSubState=stop-sigterm\nMainPID=7\n", Status{State: Stopping, PID: 7}},
		{"LoadState=loaded\nActiveState=reloading\nSubState=reload\nMainPID=7\n", Status{State: Reloading, PID: 7}},
		{"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=2\n", Status{State: Failed, ExitCode: 2, Detail: "result: exit-code"}},
		{"LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\n", Status{State: Stopped}},
		{"LoadState=masked\nActiveState=inactive\n", Status{State: Stopped, Detail: "masked by the administrator; see `systemctl unmask`"}},
		{"LoadState=bad-setting\nActiveState=inactive\n", Status{State: Unknown}},
		{"nonsense\n", Status{State: Unknown}},
	} {
		f := newFakeSystem(t)
		f.systemd.run, f.show = f.answer, c.show
		got, err := f.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.show, diff)
		}
	}
}

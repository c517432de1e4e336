package cli

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"roomcall/agent/config"
)

func TestCheckTellsOfATakenStatusPage(t *testing.T) {
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Agent: config.Agent{HTTPListen: other.Addr().String()}}
	look := func(running, answers, ours bool) stage {
		c := checker{app: &app{stdout: io.Discard}, running: running}
		c.try(t.Context(), "status page", func(context.Context) (string, error) { return c.page(cfg, answers, ours) })
		if len(c.stages) == 0 {
			return stage{}
		}
		return c.stages[0]
	}
	if s := look(false, false, false); s.Result != stageWarn || !strings.Contains(s.Detail, "in use") || !strings.Contains(s.Hint, "http_listen") {
		t.Errorf("taken: %+v", s)
	}
	if s := look(true, false, false); s.Result != stageWarn || !strings.Contains(s.Detail, "does not answer") {
		t.Errorf("the agent runs without it: %+v", s)
	}
	if s := look(true, true, true); s.Result != stageOK {
		t.Errorf("the agent answers: %+v", s)
	}
	if s := look(false, true, false); s.Result != "" {
		t.Errorf("another agent answers, which is said by another line: %+v", s)
	}
	other.Close()
	if s := look(false, false, false); s.Result != stageOK {
		t.Errorf("free: %+v", s)
	}
}

func TestStatusCannotSteerATerminal(t *testing.T) {
	const text = "{\n  \"site\": \"\x1b[2J\u009b\u202ehall 厅 \U000e0001\"\n}\n"
	got := safeJSON(text)
	if strings.ContainsAny(got, "\x1b\u009b\u202e\U000e0001") || !strings.Contains(got, `\u001b[2J\u009b\u202ehall 厅 \udb40\udc01`) || strings.Count(got, "\n") != 3 {
		t.Errorf("got %q", got)
	}
}

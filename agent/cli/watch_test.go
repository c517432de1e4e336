package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/host"
)

func TestTheWorstRoomsStayOnASmallScreen(t *testing.T) {
	f := newFleet()
	for n := range 100 {
		grade, code := "good", 1
		if n == 57 {
			grade, code = "poor", 3
		}
		payload := fmt.Sprintf(`{"schema":"roomcall.sample/1.0","client_id":"pc-%02d","device":"hub","room":"会议室 %d","endpoint_state":"in_call","grade":%q,"grade_code":%d}`, n, n, grade, code)
		f.add("roomcall/v1/pc/hub/state", []byte(payload), time.Unix(0, 0))
	}
	table := f.table(time.Unix(0, 0))
	for _, s := range []host.Screen{{Width: 80, Height: 24}, {Width: 40, Height: 10}, {Width: 30, Height: 4}, {Width: 200, Height: 3}, {Width: 0, Height: 0}, {Width: 12, Height: 0}, {Width: 0, Height: 12}} {
		text := s.Fit(table, "connected")
		lines := strings.Split(text, "\n")
		if want := max(s.Height, 6); s.Height > 0 && len(lines) > want {
			t.Errorf("%+v: %d lines", s, len(lines))
		}
		if s.Height > 0 && !strings.Contains(text, fmt.Sprintf("and %d more below", 100-(len(lines)-5))) {
			t.Errorf("%+v: does not say how many rooms are left out:\n%s", s, text)
		}
		if !strings.HasPrefix(lines[1], "pc-57") || !strings.HasSuffix(text, "\n\nconnected\n") {
			t.Errorf("%+v:\n%s", s, text)
		}
		for _, line := range lines {
			if s.Width > 12 && host.Columns(line) > s.Width {
				t.Errorf("%+v: %q is wider", s, line)
			}
		}
	}
	if n := len(strings.Split(host.Screen{Width: 80, Height: 200}.Fit(table, ""), "\n")); n != 101+3 {
		t.Errorf("all rooms fit, %d lines", n)
	}
}

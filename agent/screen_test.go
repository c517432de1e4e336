package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTheWorstRoomsStayOnASmallScreen(t *testing.T) {
	f := newFleet()
	for n := range 100 {
		grade, code := "good", 1
		if n == 57 {
			grade, code = "poor", 3
		}
		payload := fmt.Sprintf(`{"schema":"roomcall.sample/1.0","client_id":"pc-%02d","device":"hub","room":"会议室 %d","endpoint_state":"in_call","grade":%q,"grade_code":%d}`, n, n, grade, code)
		f.take("roomcall/v1/pc/hub/state", []byte(payload), time.Unix(0, 0))
	}
	table := f.table(time.Unix(0, 0))
	for _, s := range []screen{{80, 24}, {40, 10}, {30, 4}, {200, 3}, {0, 0}, {12, 0}, {0, 12}} {
		text := s.fit(table, "connected")
		lines := strings.Split(text, "\n")
		if want := max(s.height, 6); s.height > 0 && len(lines) > want {
			t.Errorf("%+v: %d lines", s, len(lines))
		}
		if s.height > 0 && !strings.Contains(text, fmt.Sprintf("and %d more below", 100-(len(lines)-5))) {
			t.Errorf("%+v: does not say how many rooms are left out:\n%s", s, text)
		}
		if !strings.HasPrefix(lines[1], "pc-57") || !strings.HasSuffix(text, "\n\nconnected\n") {
			t.Errorf("%+v:\n%s", s, text)
		}
		for _, line := range lines {
			if s.width > 12 && columns(line) > s.width {
				t.Errorf("%+v: %q is wider", s, line)
			}
		}
	}
	if n := len(strings.Split(screen{80, 200}.fit(table, ""), "\n")); n != 101+3 {
		t.Errorf("all rooms fit, %d lines", n)
	}
}

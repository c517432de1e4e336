package web

import (
	"strings"
	"testing"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

func TestAProblemThatIsThereTwiceIsOneSeries(t *testing.T) {
	s := healthtest.Well()
	s.Broker.LeftOut = []health.LeftOut{{What: "retain", Since: noon}, {What: "birth", Since: noon}}
	s.Endpoints[0].State = "busy"
	body := ask(&fake{status: s}, "/metrics").Body.String()
	for _, series := range []string{
		`roomcall_problem{code="broker_left_out",severity="warning",device=""} 1`,
		`roomcall_problem{code="endpoint_busy",severity="warning",device="room-1"} 1`,
		`roomcall_problem{code="store_full",severity="critical",device=""} 0`,
	} {
		if strings.Count(body, series+"\n") != 1 {
			t.Errorf("%d times %s", strings.Count(body, series+"\n"), series)
		}
	}
	if strings.Contains(body, `"broker_left_out",severity="warning",device=""} 0`) {
		t.Error("one problem with two values")
	}
}

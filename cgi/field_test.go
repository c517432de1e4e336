package cgi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// Numbers and texts of a refusal are facts, whichever request they come with.
func TestTheNumbersOfARefusalAreKeptWhateverThePollSays(t *testing.T) {
	const (
		refused = `{"success":0,"error":{"id":100666995,"code":33558532,"params":["7 of 9"]},"msg":"no way"}`
		noted   = `{"success":1,"exception":{"id":100666995,"code":33558532},"data":{"stAudioParamSend":{"auxAudioRate":"35.62k"}}}`
		empty   = `{"success":1,"data":""}`
		audio   = `{"success":1,"data":{"stAudioParamSend":{"auxAudioRate":"35.62k"}}}`
		idle    = `{"success":1,"data":"{\"state\":{\"callstate\":0,\"conftype\":0,\"isInConf\":0}}"}`
		inCall  = `{"success":1,"data":"{\"state\":{\"callstate\":2,\"conftype\":2,\"isInConf\":1}}"}`
		upgrade = `{"success":1,"data":"{\"state\":{\"callstate\":0,\"upgrade\":1}}"}`
	)
	for name, c := range map[string]struct {
		multi, mailbox, single string
		warns, params, fails   bool
	}{
		"call status, in a call":    {multi: refused, mailbox: inCall, single: empty, warns: true, params: true},
		"call status, idle":         {multi: refused, mailbox: idle, params: true},
		"mailbox beside media":      {multi: audio, mailbox: refused, warns: true, params: true},
		"single-stream status":      {multi: empty, mailbox: inCall, single: refused, warns: true, params: true},
		"beside a success":          {multi: noted, mailbox: inCall, warns: true},
		"while it upgrades":         {multi: refused, mailbox: upgrade, params: true, fails: true},
		"and the mailbox is broken": {multi: refused, mailbox: "garbage", params: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(&scripted{t: t, replies: map[string]string{
				multiCallAction: c.multi, mailboxAction: c.mailbox, singleCallAction: c.single,
			}})
			defer srv.Close()
			st, err := newClient(t, Config{URL: srv.URL}).Poll(t.Context())
			id, code, said, warning := st.ErrID, st.ErrCode, st.NotUnderstood, st.Warning()
			if e, ok := err.(*Error); ok {
				id, code, said = e.ID, e.Code, e.NotUnderstood
			}
			if (err != nil) != c.fails || id != 100666995 || code != 33558532 {
				t.Fatalf("id %d, code %d (%v)", id, code, err)
			}
			text := fmt.Sprint(said)
			if c.params && (!strings.Contains(text, "7 of 9") || !strings.Contains(text, "no way")) {
				t.Errorf("params and text are dropped: %v", said)
			}
			if (warning != nil) != c.warns {
				t.Errorf("warning %v", warning)
			}
		})
	}
}

// A refusal comes in more shapes than the vendor's; what is no number is still told.
func TestARefusalInAnotherShapeIsNotDropped(t *testing.T) {
	for raw, want := range map[string]Error{
		`"error":[{"id":100666995,"code":33558532}]`:     {ID: 100666995, Code: 33558532},
		`"error":"call info not ready"`:                  {NotUnderstood: []Quirk{{"error", "call info not ready"}}},
		`"error":{"id":"0x6000201","code":33558532}`:     {Code: 33558532, NotUnderstood: []Quirk{{"error.id", "0x6000201"}}},
		`"exception":{"id":7,"param":"no licence"}`:      {ID: 7, NotUnderstood: []Quirk{{"exception.param", "no licence"}}},
		`"error":{"id":7,"param":"username admin"}`:      {ID: 7, NotUnderstood: []Quirk{{"error.param", hidden}}},
		`"error":["a","b"]`:                              {NotUnderstood: []Quirk{{"error", `["a","b"]`}}},
		`"error":[]`:                                     {},
		`"error":"{\"id\":100666995,\"code\":33558532}"`: {ID: 100666995, Code: 33558532},
		`"error":"100666995"`:                            {ID: 100666995},
	} {
		_, err := parseMultiCall([]byte(`{"success":0,` + raw + `}`))
		e, ok := err.(*Error)
		if !ok || e.Reason != "api_error" || e.ID != want.ID || e.Code != want.Code || !slices.Equal(e.NotUnderstood, want.NotUnderstood) {
			t.Errorf("%s: %+v", raw, err)
		}
	}
}

func TestTheNumbersThatComeWithAnHTTPStatusAreKept(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"success":0,"error":{"id":100666995,"code":33558532}}`))
	}))
	defer srv.Close()
	_, err := newClient(t, Config{URL: srv.URL}).Poll(t.Context())
	if e := err.(*Error); e.ID != 100666995 || e.Code != 33558532 || e.HTTPStatus != 403 {
		t.Fatalf("%v", err)
	}
}

func TestCheckWarnsWithTheNumbersOfARefusal(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "call-refused"}})
	for _, s := range runStages(t, r.client) {
		if s.Name == "poll" && (!s.Warn || s.Hint != hintCallRefused || s.Facts["err_id"] != "100666995" || !strings.Contains(s.Detail, "33558532")) {
			t.Fatalf("%+v", s)
		}
	}
}

// hostileNames are what people, and people who mean harm, call a site.
var hostileNames = []string{
	`Room "Alpine"`, `"`, `""`, `C:\`, `\`, `a\"`, `\u12`, `\x`, "line\nbreak", "tab\tand\x00nul", "\x1b[31m",
	`x","videoLossPer":"99.00%`, `x","videoProtocolPrefix":"H.999","videoRate":"1k`, `{`, `}`, `]}`, `"}`, `"},{"szName":"`,
	`a"}],"x":[{"szName":"b`, `a"}],"stVideoParamRecv":[{"szName":"b`, `",`, `","`, `":"`, `","joinMin":7,"y":"`, "\xff\xfe\"", `会议"室`,
}

// withName is the call status in which the received video has a name, put there
// without care; levels says how often the reply is packed into a text.
func withName(name string, levels int) []byte {
	inner := `{"stAudioParamSend":{"audioLossPer":"0.10%","auxAudioRate":"64.00k"},"stVideoParamSend":[],"stVideoParamRecv":[` +
		`{"szName":"` + name + `","videoProtocolPrefix":"H.264 EC","videoProtocolPostfix":"720p","videoRate":"962.76k","videoFrame":41,"valueVideoJitter":"2ms","valueNetDelayVideo":"5ms","videoLossPer":"1.50%","videoLossNum":3},` +
		`{"szName":"site2","videoProtocolPrefix":"H.264 EC","videoProtocolPostfix":"720p","videoRate":"100.00k","videoFrame":15,"valueVideoJitter":"1ms","valueNetDelayVideo":"6ms","videoLossPer":"0.00%","videoLossNum":0}],` +
		`"joinDay":0,"joinHour":1,"joinMin":2}`
	switch levels {
	case 0: // a plain object
		return []byte(`{"success":1,"data":` + inner + `}`)
	case 1: // packed by a careful encoder
		b, _ := json.Marshal(inner)
		return []byte(`{"success":1,"data":` + string(b) + `}`)
	}
	// packed by hand: the quotes of the reply are marked, those of the name are not
	marked := strings.ReplaceAll(withoutName(inner, name), `"`, `\"`)
	return []byte(`{"success":1,"data":"` + strings.Replace(marked, "@", name, 1) + `"}`)
}

func withoutName(inner, name string) string {
	return strings.Replace(inner, `"szName":"`+name+`"`, `"szName":"@"`, 1)
}

func TestANameThatTheFarEndChoosesBlindsNoRoom(t *testing.T) {
	for levels := range 3 {
		for _, name := range hostileNames {
			t.Run(fmt.Sprintf("%d %q", levels, name), func(t *testing.T) {
				st, err := parseMultiCall(withName(name, levels))
				if err != nil {
					t.Fatal(err)
				}
				if st.AudioSend.BitrateKbps != Known(64) || st.JoinMinutes != Known(62) {
					t.Errorf("audio %+v, join %v", st.AudioSend, st.JoinMinutes)
				}
				active := slices.DeleteFunc(slices.Clone(st.VideoRecv), func(s Stream) bool { return !s.Active })
				if len(active) != 2 {
					t.Fatalf("%+v (%v)", st.VideoRecv, st.NotUnderstood)
				}
				v := active[0]
				if v.LossPct != Known(1.5) || v.BitrateKbps != Known(962.76) || v.LossPackets != Known(3) || v.FPS != Known(41) || v.Codec != "H.264 EC" || v.DelayMs != Known(5) {
					t.Errorf("numbers: %+v", v)
				}
				if active[1].Name != "site2" || active[1].LossPct != Known(0) || active[1].BitrateKbps != Known(100) {
					t.Errorf("the other stream: %+v", active[1])
				}
				if strings.ContainsAny(v.Name, "\x1b\n\x00") {
					t.Errorf("name %q", v.Name)
				}
				if !json.Valid(withName(name, levels)) && len(st.NotUnderstood) == 0 {
					t.Error("nothing is said of it")
				}
			})
		}
	}
}

func TestAMessageInTheMailboxBlindsNoRoom(t *testing.T) {
	const state = `"state":{"callstate":2,"conftype":2,"isInConf":1}`
	for _, message := range []string{`"call from "Alpine""`, `"a\"`, `{"num":1,"msg":["from "x"]}`, `"x","state":{"callstate":0,"isInConf":0},"y":""z"`} {
		for _, raw := range []string{
			`{"success":1,"data":{` + state + `,"msgStruct":` + message + `}}`,
			`{"success":1,"data":{"msgStruct":` + message + `,` + state + `}}`,
		} {
			m, err := parseMailbox([]byte(raw))
			if err != nil || m.Call != CallActive || len(m.NotUnderstood) == 0 {
				t.Errorf("%s: call %v, %v, %v", raw, m.Call, m.NotUnderstood, err)
			}
		}
	}
}

// The name that the room itself has stands in the middle of the state.
func TestTheRoomsOwnNameBlindsNoRoom(t *testing.T) {
	for _, name := range []string{`our "big" room`, `C:\`, `"`, `x","isInConf":"1`} {
		for _, state := range []string{
			`{"callstate":0,"calltype":8,"sitename":"` + name + `","conftype":0,"isInConf":0,"upgrade":0}`,
			`{"callstate":0,"conftype":0,"isInConf":0,"sitename":"` + name + `"}`,
		} {
			marked := strings.ReplaceAll(strings.Replace(state, name, "@", 1), `"`, `\"`)
			for _, raw := range []string{
				`{"success":1,"data":{"state":` + state + `}}`,
				`{"success":1,"data":"{\"state\":` + strings.Replace(marked, "@", name, 1) + `}"}`,
			} {
				m, err := parseMailbox([]byte(raw))
				if err != nil || m.Call == CallActive || len(m.NotUnderstood) == 0 {
					t.Errorf("%s: call %v, %v, %v", raw, m.Call, m.NotUnderstood, err)
				}
			}
		}
	}
}

func TestNamesCarryNothingThatIsNotSeen(t *testing.T) {
	for name, want := range map[string]string{
		"abc\u202etxt.exe": "abctxt.exe", "\u2067x\u2069": "x", "a\u200bb\ufeff": "ab", "a\u2028b": "ab", "a\x1b[31m\u0085": "a[31m",
		"\u200e\u061c": "", "👨\u200d👩\u200d👧": "👨\u200d👩\u200d👧", "می\u200cروم": "می\u200cروم", "a\U000e0041": "a", "会议室": "会议室",
	} {
		quoted, _ := json.Marshal(name)
		st, err := parseMultiCall(withName(string(quoted[1:len(quoted)-1]), 1))
		if err != nil || st.VideoRecv[0].Name != want {
			t.Errorf("%q: %q, want %q (%v)", name, st.VideoRecv[0].Name, want, err)
		}
	}
}

func TestARoomWithRawNamesIsSeen(t *testing.T) {
	for _, family := range cgitest.Families() {
		r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "raw-names", Family: family.Name}})
		r.client.cfg.Login = loginAuto
		if family.Name == "te40" || family.Name == "te20" {
			continue // they want https, and have no multi-stream call
		}
		st := r.poll(t)
		for i, want := range r.Now().VideoRecv {
			if st.VideoRecv[i].LossPct != Known(want.LossPct) || st.VideoRecv[i].BitrateKbps != Known(want.RateKbps) {
				t.Errorf("%s %d: %+v, want %+v", family.Name, i, st.VideoRecv[i], want)
			}
		}
	}
}

// Somebody else logs in with the account every 25 s: no poll is lost.
func TestASessionThatWorkedIsReplacedAtOnce(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "shared-account"}})
	var st Status
	for range 120 {
		st = r.poll(t)
		r.clock.Add(5 * time.Second)
	}
	if n := r.logins(); n < 20 || n > 26 {
		t.Errorf("%d logins in 10 minutes", n)
	}
	w := st.Warning()
	if w == nil || w.Hint != hintOtherLogin {
		t.Errorf("warning %v", w)
	}
}

// Two programs that throw each other out at once do so a few times a minute, not for
// each poll.
func TestSessionsThatLastSecondsGiveNoLoginStorm(t *testing.T) {
	r := newRig(t, rigOptions{})
	good := 0
	for range 600 {
		_, err := r.client.Poll(t.Context())
		if err == nil {
			good++
		} else if e := err.(*Error); e.Hint != hintOtherLogin || e.Reason != "session_lost" {
			t.Fatalf("%v, hint %s", err, e.Hint)
		}
		r.ExpireSessions()
		r.clock.Add(time.Second)
	}
	if n := r.logins(); n < 8 || n > 20 || good < 8 {
		t.Errorf("%d logins, %d good polls in 10 minutes", n, good)
	}
	r.clock.Add(time.Minute)
	for range 60 { // left alone, all is well, and the warning goes
		r.poll(t)
		r.clock.Add(10 * time.Second)
	}
	if st := r.poll(t); st.Warning() != nil {
		t.Errorf("warning %v", st.Warning())
	}
}

func TestAChangedPasswordIsTriedAtOnceAndOnceOnly(t *testing.T) {
	kept := testPassword
	r := newRig(t, rigOptions{client: Config{Reread: func() string { return kept }}})
	r.SetPassword("the new one")
	r.ExpireSessions()
	r.pollError(t, KindRefused, "auth_failed")
	r.pollError(t, KindRefused, "auth_failed")
	if r.logins() != 1 {
		t.Fatalf("%d logins", r.logins())
	}
	kept = "wrong too"
	r.pollError(t, KindRefused, "auth_failed")
	r.pollError(t, KindRefused, "auth_failed")
	if r.logins() != 2 {
		t.Fatalf("%d logins", r.logins())
	}
	kept = "the new one"
	r.poll(t)
	r.SetPassword("a third")
	r.ExpireSessions()
	kept = "a third"
	r.poll(t)
	if n := r.logins(); n != 5 {
		t.Fatalf("%d logins, want 5: the old password is tried once, then the new", n)
	}
}

func TestALoginThatWorkedElsewhereEndsThePause(t *testing.T) {
	works := false
	r := newRig(t, rigOptions{client: Config{LoginWorks: func() bool { was := works; works = false; return was }}})
	r.SetPassword("other")
	r.ExpireSessions()
	r.pollError(t, KindRefused, "auth_failed")
	works = true
	r.pollError(t, KindRefused, "auth_failed")
	if r.logins() != 2 {
		t.Fatalf("%d logins", r.logins())
	}
	r.SetPassword(testPassword)
	r.pollError(t, KindRefused, "auth_failed")
	works = true
	r.poll(t)
}

// The keys of a stream come in another order than the vendor's.
func TestABrokenNameIsFoundInAnyOrderOfTheKeys(t *testing.T) {
	for _, name := range []string{`Room "Alpine"`, `C:\`, `"`} {
		for _, stream := range []string{
			`{"videoProtocolPrefix":"H.264 EC","videoRate":"10.00k","videoLossPer":"1.50%","szName":"` + name + `"}`,
			`{"videoRate":"10.00k","szName":"` + name + `","videoLossPer":"1.50%","videoProtocolPrefix":"H.264 EC"}`,
			`{"szName":"` + name + `" , "videoLossPer":"1.50%","videoProtocolPrefix":"H.264 EC","videoRate":"10.00k"}`,
		} {
			st, err := parseMultiCall([]byte(`{"success":1,"data":{"stVideoParamRecv":[` + stream + `,` + stream + `],"joinDay":0,"joinHour":0,"joinMin":5}}`))
			if err != nil || len(st.VideoRecv) != 2 || st.JoinMinutes != Known(5) {
				t.Errorf("%s: %+v (%v)", stream, st, err)
				continue
			}
			for _, v := range st.VideoRecv {
				if v.LossPct != Known(1.5) || v.BitrateKbps != Known(10) || v.Codec != "H.264 EC" || v.Name != "" {
					t.Errorf("%s: %+v", stream, v)
				}
			}
		}
	}
}

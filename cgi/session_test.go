package cgi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

func TestExpiredSessionGivesExactlyOneNewLogin(t *testing.T) {
	for _, expired := range []string{cgitest.ExpiredRefused, cgitest.Expired401, cgitest.Expired403} {
		t.Run(expired, func(t *testing.T) {
			r := newRig(t, rigOptions{sim: cgitest.Options{Expired: expired}})
			r.poll(t)
			r.clock.Add(2 * time.Minute)
			for range 5 {
				r.poll(t)
			}
			if r.logins() != 2 {
				t.Fatalf("%d logins, want the first and one more", r.logins())
			}
		})
	}
}

func TestSessionsThatAreRefusedAtOnceGiveNoLoginStorm(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultStatus, Status: http.StatusForbidden, Action: multiCallAction})
	r.pollError(t, KindRefused, "session_lost")
	if r.logins() != 2 {
		t.Fatalf("%d logins in the first poll, want one and one more", r.logins())
	}
	for range 300 {
		r.clock.Add(2 * time.Second)
		r.pollError(t, KindRefused, "session_lost")
	}
	if n := r.logins(); n < 4 || n > 8 {
		t.Fatalf("%d logins in 10 minutes, want a handful", n)
	}
	r.SetFault(cgitest.Fault{})
	r.clock.Add(10 * time.Minute)
	r.poll(t)
}

func TestLoginThatFailsHalfWayIsNotRepeatedWithEachPoll(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultGarbage, Action: "WEB_RequestCertificateAPI"})
	r.client.cfg.Login = "api"
	for range 10 {
		r.pollError(t, KindError, "bad_json")
	}
	if r.Count("WEB_RequestSessionIDAPI") != 1 {
		t.Fatalf("%d sessions were asked for", r.Count("WEB_RequestSessionIDAPI"))
	}
	r.SetFault(cgitest.Fault{})
	r.clock.Add(15 * time.Second)
	r.poll(t)
}

func TestUpgradeIsReportedAndTheEndpointLeftAloneMeanwhile(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "upgrade", Expiry: time.Hour}})
	if st := r.poll(t); st.Call != CallIdle {
		t.Fatalf("call %v", st.Call)
	}
	r.clock.Add(25 * time.Second)
	r.pollError(t, KindUpgrading, "upgrading")
	sent := r.Count("")
	r.pollError(t, KindUpgrading, "upgrading")
	if r.Count("") != sent {
		t.Fatal("the endpoint was asked again at once")
	}
	r.clock.Add(30 * time.Second)
	r.pollError(t, KindUpgrading, "upgrading")
	if r.Count("") != sent+1 {
		t.Fatalf("%d requests after the pause, want the mailbox alone", r.Count("")-sent)
	}
	r.clock.Add(30 * time.Second) // rebooted by now, and the session forgotten
	if st := r.poll(t); st.Call != CallIdle {
		t.Fatalf("call %v after the upgrade", st.Call)
	}
	if r.logins() != 2 {
		t.Fatalf("%d logins", r.logins())
	}
}

func TestLoginDuringAnUpgradeIsBusy(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "upgrade"}})
	r.clock.Add(25 * time.Second)
	r.pollError(t, KindBusy, "api_error")
	if r.logins() != 0 {
		t.Fatal("the password was sent")
	}
}

func TestRebootIsUnreachableAndThenOneNewLogin(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "reboot"}})
	r.poll(t)
	r.clock.Add(35 * time.Second)
	r.pollError(t, KindUnreachable, "reset")
	r.clock.Add(20 * time.Second)
	if st := r.poll(t); st.Call != CallIdle {
		t.Fatalf("call %v", st.Call)
	}
	if r.logins() != 2 {
		t.Fatalf("%d logins", r.logins())
	}
}

func TestVerdictOverMailboxAndMedia(t *testing.T) {
	const (
		refused = `{"success":0,"error":{"id":100666767,"code":1}}`
		empty   = `{"success":1,"data":""}`
		audio   = `{"success":1,"data":{"stAudioParamSend":{"auxAudioRate":"35.62k"}}}`
		noMedia = `{"success":1,"data":{"stAudioParamSend":{"auxAudioRate":"--"},"stVideoParamSend":[]}}`
		idle    = `{"success":1,"data":"{\"state\":{\"callstate\":0,\"conftype\":0,\"isInConf\":0}}"}`
		inCall  = `{"success":1,"data":"{\"state\":{\"callstate\":2,\"conftype\":2,\"isInConf\":1}}"}`
		dialing = `{"success":1,"data":"{\"state\":{\"callstate\":1,\"conftype\":0,\"isInConf\":0}}"}`
		single  = `{"success":1,"data":{"videoRateSend":"733.31k","videoFrameSend":25,"mainFormatSend":"720p","videoLossPerSend":"0.00%"}}`
	)
	for name, c := range map[string]struct {
		multi, mailbox, single string
		want                   CallState
		source                 string
		media                  bool
	}{
		"media and in call":                  {audio, inCall, "", CallActive, multiCallAction, true},
		"media and no mailbox":               {audio, refused, "", CallActive, multiCallAction, true},
		"media and garbage from the mailbox": {audio, "garbage", "", CallActive, multiCallAction, true},
		"media though the mailbox is idle":   {audio, idle, "", CallActive, multiCallAction, true},
		"placeholders and idle":              {noMedia, idle, "", CallIdle, multiCallAction, false},
		"refused and idle":                   {refused, idle, "", CallIdle, multiCallAction, false},
		"empty and idle":                     {empty, idle, "", CallIdle, multiCallAction, false},
		"placeholders and no mailbox":        {noMedia, refused, refused, CallIdle, multiCallAction, false},
		"empty and no mailbox":               {empty, empty, empty, CallIdle, multiCallAction, false},
		"single-stream media and no mailbox": {noMedia, refused, single, CallActive, singleCallAction, true},
		"dialling":                           {empty, dialing, "", CallUnknown, multiCallAction, false},
		"in call by single-stream":           {empty, inCall, single, CallActive, singleCallAction, true},
		"in call, multi-stream refused":      {refused, inCall, single, CallActive, singleCallAction, true},
		"in call and no media anywhere":      {noMedia, inCall, refused, CallActive, multiCallAction, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(&scripted{t: t, replies: map[string]string{
				multiCallAction: c.multi, mailboxAction: c.mailbox, singleCallAction: c.single,
			}})
			defer srv.Close()
			cl := newClient(t, Config{URL: srv.URL})
			st, err := cl.Poll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st.Call != c.want || st.SourceAPI != c.source || st.hasMedia() != c.media {
				t.Fatalf("call %v by %s, media %v", st.Call, st.SourceAPI, st.hasMedia())
			}
			want := map[string]string{multiCallAction: c.multi, singleCallAction: c.single}[c.source]
			if string(st.Raw) != want {
				t.Fatalf("raw %s, want %s", st.Raw, want)
			}
		})
	}
}

// A mailbox that answered and now refuses, while the status action has no
// values, is no proof that the call is over.
func TestMailboxThatStopsAnsweringDoesNotEndTheCall(t *testing.T) {
	const (
		refused = `{"success":0,"error":{"id":100666995,"code":33558532}}`
		inCall  = `{"success":1,"data":{"state":{"callstate":2,"conftype":2,"isInConf":1}}}`
		nothing = `{"success":1,"data":{"stAudioParamSend":{"auxAudioRate":"--"}}}`
	)
	for _, user := range []string{"", "admin"} {
		replies := map[string]string{multiCallAction: nothing, mailboxAction: inCall, "WEB_RequestCertificateAPI": `{"success":1,"data":""}`,
			"WEB_RequestSessionIDAPI": `{"success":1,"data":{"acSessionId":"0123456789"}}`}
		server := &scripted{t: t, replies: replies}
		srv := httptest.NewServer(server)
		defer srv.Close()
		c := newClient(t, Config{URL: srv.URL, Username: user, Login: "api"})
		if st, err := c.Poll(t.Context()); err != nil || st.Call != CallActive {
			t.Fatalf("call %v, %v", st.Call, err)
		}
		replies[mailboxAction] = refused
		st, err := c.Poll(t.Context())
		if user == "" {
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindError || e.Reason != "api_error" {
				t.Errorf("no login: call %v, %v", st.Call, err)
			}
			continue
		}
		if logins := strings.Count(strings.Join(server.bodies, "\n"), "WEB_RequestSessionIDAPI"); logins != 2 {
			t.Errorf("%d logins, want one anew; %v", logins, err)
		}
	}
}

func TestGarbageFromTheStatusRequestIsAnErrorAndTheSessionStays(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.poll(t)
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultGarbage, Times: 1})
	r.pollError(t, KindError, "bad_json")
	r.poll(t)
	if r.logins() != 1 {
		t.Fatalf("%d logins", r.logins())
	}
}

func TestSingleStreamCallIsReadFromTheSisterAction(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "single-stream"}})
	st, snap := r.poll(t), r.Now()
	if st.SourceAPI != singleCallAction || st.Call != CallActive || len(st.NotUnderstood) != 0 {
		t.Fatalf("call %v by %s, not understood %v", st.Call, st.SourceAPI, st.NotUnderstood)
	}
	got := []Reading{st.AudioSend.BitrateKbps, st.VideoRecv[0].BitrateKbps, st.VideoRecv[0].LossPct, st.VideoSend[0].FPS}
	want := []Reading{
		Known(snap.AudioSend.RateKbps), Known(snap.VideoRecv[0].RateKbps), Known(snap.VideoRecv[0].LossPct), Known(float64(snap.VideoSend[0].FPS)),
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("value %d is %v, served %v", i, got[i], want[i])
		}
	}
}

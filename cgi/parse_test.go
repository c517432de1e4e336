package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Outside a multi-stream conference the reply is not documented. The three that
// are possible mean the same and stay apart.
func TestThreeRepliesWithoutMediaStayApart(t *testing.T) {
	for _, c := range []struct{ name, reason string }{
		{"error_not_in_a_conference", "api_error"},
		{"error_exception_id_only", "api_error"},
		{"data_empty_string", "no_data"},
		{"data_missing", "no_data"},
		{"data_placeholders", ""},
	} {
		st, err := parseMultiCall(readReply(t, c.name))
		if c.reason == "" {
			if err != nil || st.hasMedia() || st.Call != CallUnknown || st.JoinMinutes.Known {
				t.Errorf("%s: %+v, %v; want a status without media that decides nothing", c.name, st, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Reason != c.reason || !e.saysNothing() {
			t.Errorf("%s: %v, want %s that means no media", c.name, err, c.reason)
		}
	}
}

// A refused login, a full session table, garbage: these are no "no media".
func TestFailuresAreNotTakenForSilence(t *testing.T) {
	for _, name := range []string{"error_auth_failed_code", "error_session_limit_in_error",
		"error_exception_interface_off", "reply_cut", "reply_web_page", "data_is_text", "data_with_unknown_keys_only"} {
		_, err := parseMultiCall(readReply(t, name))
		var e *Error
		if !errors.As(err, &e) || e.saysNothing() {
			t.Errorf("%s: %v, want an error that is not silence", name, err)
		}
	}
}

// What a status holds is its own: later replies must not change it.
func TestStatusSurvivesLaterReplies(t *testing.T) {
	raw := readReply(t, "vendor_example")
	first, err := parseMultiCall(raw)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("AAC-LD MONO"), []byte("XXXXXXXXXXX")), []byte("site1"), []byte("other"))
	for range 10 {
		if _, err := parseMultiCall(other); err != nil {
			t.Fatal(err)
		}
	}
	again, err := parseMultiCall(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again, first); diff != "" {
		t.Errorf("the first status changed:\n%s", diff)
	}
}

func TestParsersRunSideBySide(t *testing.T) {
	names := caseNames(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, name := range names {
				raw := readReply(t, name)
				_, _ = parseMultiCall(raw)
				_, _ = parseMailbox(raw)
				_, _ = parseLogin(raw)
			}
		})
	}
	wg.Wait()
}

// A reply of more than 1 MiB, one of very many values and one of very many
// levels are refused before they are taken apart.
func TestHugeRepliesAreRefused(t *testing.T) {
	for _, c := range []struct{ name, reply, reason, text string }{
		{"large", `{"success":1,"data":"` + strings.Repeat("a", maxReply) + `"}`, "too_large", "larger than"},
		{"many values", `{"success":1,"data":[` + strings.Repeat("0,", maxReply/2-20) + `0]}`, "bad_json", "too many values"},
		{"many levels", strings.Repeat("[", maxReply), "bad_json", "too deep"},
		{"many levels in strings", `{"success":1,"data":"` + strings.Repeat(`{\"a\":`, maxReply/8) + `"}`, "bad_json", "too deep"},
	} {
		_, err := parseMultiCall([]byte(c.reply))
		var e *Error
		if !errors.As(err, &e) || e.Reason != c.reason || !strings.Contains(e.Err.Error(), c.text) {
			t.Errorf("%s: %v, want reason %s and %q", c.name, err, c.reason, c.text)
		}
	}
}

// A reply of 1 MiB that is no JSON must not cost many times its size.
func TestHugeGarbageTakesBoundedMemory(t *testing.T) {
	deep := `{"success":1,"data":` + strings.Repeat("[", maxNesting-2)
	for _, tail := range []string{"n" + strings.Repeat("\x01", maxReply-200), strings.Repeat(`\"`, maxReply/2-100)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := parseMultiCall([]byte(deep + tail)); err == nil {
			t.Fatal("garbage is taken")
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 16 {
			t.Errorf("%d MiB allocated for %d bytes", got, len(deep+tail))
		}
	}
}

// The error of a broken login reply must not quote the reply.
func TestErrorsDoNotQuoteSecrets(t *testing.T) {
	const secret = "a1b2c3d4e5f6"
	for _, reply := range []string{
		`{"success":1,"data":{"acSessionId":"` + secret + `"`,
		`{"success":1,"data":"{\"acCSRFToken\":\"` + secret + `\""}`,
		`{"success":3,"data":{"acCSRFToken":"` + secret + `"}}`,
		secret,
	} {
		_, err := parseLogin([]byte(reply))
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
			t.Errorf("%s: error %#v", reply, err)
		}
	}
}

func TestLongMessageOfAFailureIsCutAndKept(t *testing.T) {
	_, err := parseLogin([]byte(`{"success":0,"code":1,"msg":"` + strings.Repeat("wrong ", 100) + `"}`))
	var e *Error
	if !errors.As(err, &e) || e.Err == nil || !strings.HasPrefix(e.Err.Error(), "wrong wrong") || len(e.Err.Error()) > maxQuirkText {
		t.Errorf("%v", err)
	}
}

// The vendor's words for a failure: kind, reason, id and code.
func TestFailuresByIDAndCode(t *testing.T) {
	for _, c := range []struct {
		name string
		want Error
	}{
		{"error_documented", Error{Kind: KindError, Reason: "api_error", ID: 100666995, Code: 33558532}},
		{"error_malformed_example_of_the_vendor", Error{Kind: KindError, Reason: "api_error", ID: 100666995, Code: 33558532}},
		{"error_session_limit_at_top", Error{Kind: KindBusy, Reason: "session_limit", Code: 16781313}},
		{"login_wrong_password", Error{Kind: KindRefused, Reason: "auth_failed", ID: 100666780, Code: 16781315}},
		{"error_exception_interface_off", Error{Kind: KindRefused, Reason: "disabled", ID: 4}},
	} {
		_, err := parseMultiCall(readReply(t, c.name))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if e.Kind != c.want.Kind || e.Reason != c.want.Reason || e.ID != c.want.ID || e.Code != c.want.Code {
			t.Errorf("%s: %+v, want %+v", c.name, e, c.want)
		}
	}
}

// The single-stream action: the example's rates, where the audio rate is
// auxAudioRate (2.08k + 63.56k = 65.64k in all), and no value that it lacks.
func TestSingleStreamExampleIsDecodedFieldByField(t *testing.T) {
	raw := readReply(t, "single_example")
	got, err := parseSingleCall(raw)
	if err != nil {
		t.Fatal(err)
	}
	video := func(kbps float64) []Stream {
		return []Stream{{Active: true, BitrateKbps: Known(kbps), LossPct: Known(0), LossPackets: Known(0),
			FPS: Known(25), Width: 1280, Height: 720, WidthAssumed: true}}
	}
	want := Status{
		SourceAPI: "WEB_GetCallStatusInfoAPI", Call: CallActive, JoinMinutes: Known(5),
		AudioSend: Stream{Active: true, BitrateKbps: Known(63.56), LossPct: Known(0), LossPackets: Known(0)},
		AudioRecv: Stream{Active: true, BitrateKbps: Known(78.06), LossPct: Known(0), LossPackets: Known(0)},
		VideoSend: video(2.08), VideoRecv: video(655.24), Raw: raw,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

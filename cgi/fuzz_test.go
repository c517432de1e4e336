package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// seedCorpus returns the replies of the cases to a fuzz target.
func seedCorpus(f *testing.F, prefix string) {
	for _, name := range caseNames(f) {
		if strings.HasPrefix(name, prefix) {
			f.Add(readReply(f, name))
		}
	}
}

// checkError holds an error to what the package promises.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e == nil || e.Reason == "" {
		t.Fatalf("error %#v, want an *Error with a reason", err)
	}
	if text := e.Error(); len(text) > 300 || !utf8.ValidString(text) {
		t.Fatalf("error text %q", text)
	}
}

func checkQuirks(t *testing.T, list []Quirk) {
	t.Helper()
	if len(list) > maxQuirks {
		t.Fatalf("%d quirks", len(list))
	}
	for _, o := range list {
		if len(o.Key) > maxQuirkKey || len(o.Text) > maxQuirkText || !utf8.ValidString(o.Key+o.Text) {
			t.Fatalf("quirk %q", o)
		}
	}
}

// keysOfReadings are the words that one of the keys of each reading holds.
var keysOfReadings = []struct {
	words []string
	of    func(Stream) Reading
}{
	{[]string{"audiorate", "videorate"}, func(s Stream) Reading { return s.BitrateKbps }},
	{[]string{"lossper"}, func(s Stream) Reading { return s.LossPct }},
	{[]string{"lossnum"}, func(s Stream) Reading { return s.LossPackets }},
	{[]string{"jitter"}, func(s Stream) Reading { return s.JitterMs }},
	{[]string{"netdelay"}, func(s Stream) Reading { return s.DelayMs }},
	{[]string{"videoframe"}, func(s Stream) Reading { return s.FPS }},
}

// checkAbsent: a reading whose key is not in the reply is not in the status.
func checkAbsent(t *testing.T, raw []byte, st Status) {
	t.Helper()
	text := strings.ToLower(string(raw))
	if strings.Contains(text, `\u`) {
		return // a key may be spelled in escapes
	}
	for _, k := range keysOfReadings {
		if slices.ContainsFunc(k.words, func(w string) bool { return strings.Contains(text, w) }) {
			continue
		}
		for _, s := range allStreams(st) {
			if k.of(s).Known {
				t.Fatalf("a reading without one of the keys %q: %+v", k.words, s)
			}
		}
	}
}

func checkStatus(t *testing.T, raw []byte, st Status) {
	t.Helper()
	checkQuirks(t, st.NotUnderstood)
	if text := nonsense(st); text != "" {
		t.Fatal(text)
	}
	checkAbsent(t, raw, st)
	if !bytes.Equal(st.Raw, raw) {
		t.Fatal("Raw is not the reply")
	}
	if st.Call == CallActive != st.hasMedia() {
		t.Fatalf("call %d with media %t", st.Call, st.hasMedia())
	}
}

// checkRoundTrip: encoding a status and decoding it gives the status back.
func checkRoundTrip(t *testing.T, st Status) {
	t.Helper()
	for _, s := range allStreams(st) {
		for _, r := range readings(s) {
			if len(plainNumber(r)) > 15 {
				return // more digits than an endpoint's number may have
			}
		}
	}
	again, err := parseMultiCall(encodeMultiCall(st))
	if err != nil {
		t.Fatalf("decode the encoded status: %v", err)
	}
	st.Raw, again.Raw, st.NotUnderstood, again.NotUnderstood = nil, nil, nil, nil
	if diff := cmp.Diff(st, again); diff != "" {
		t.Fatalf("encoded and decoded (-before +after):\n%s", diff)
	}
}

func FuzzParseMultiCall(f *testing.F) {
	seedCorpus(f, "")
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, parse := range []func([]byte) (Status, error){parseMultiCall, parseSingleCall} {
			st, err := parse(raw)
			if err != nil {
				checkError(t, err)
				continue
			}
			checkStatus(t, raw, st)
			st.SourceAPI = multiCallAction
			checkRoundTrip(t, st)
		}
	})
}

// FuzzEnvelope: what stands around a reply changes nothing.
func FuzzEnvelope(f *testing.F) {
	seedCorpus(f, "")
	f.Fuzz(func(t *testing.T, raw []byte) {
		plain, err := parseLogin(raw)
		if err != nil {
			checkError(t, err)
		}
		dressed := append([]byte("\ufeff \x00"), raw...)
		dressed = append(dressed, "\r\n\x00"...)
		other, otherErr := parseLogin(dressed)
		if plain != other || fmt.Sprint(err) != fmt.Sprint(otherErr) {
			t.Fatalf("with blanks around: %+v, %v; without: %+v, %v", other, otherErr, plain, err)
		}
		if strings.ContainsAny(plain.SessionID+plain.CSRFToken, "\r\n; \"") || !utf8.ValidString(plain.Model) {
			t.Fatalf("unfit for a header: %+v", plain)
		}
	})
}

func FuzzParseMailbox(f *testing.F) {
	seedCorpus(f, "mailbox_")
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseMailbox(raw)
		if err != nil {
			checkError(t, err)
			return
		}
		checkQuirks(t, m.NotUnderstood)
		text := strings.ToLower(string(raw))
		for _, key := range []string{"isinconf", "callstate", "conftype"} {
			if m.Call == CallIdle && !strings.Contains(text, key) && !strings.Contains(text, `\u`) {
				t.Fatalf("idle without %s", key)
			}
		}
		m.NotUnderstood = nil
		again, err := parseMailbox(encodeMailbox(m))
		if diff := cmp.Diff(m, again); err != nil || diff != "" {
			t.Fatalf("encoded and decoded: %v\n%s", err, diff)
		}
	})
}

// encodeMailbox writes a mailbox state that says the same.
func encodeMailbox(m mailbox) []byte {
	state := map[CallState]string{
		CallIdle:    `\"callstate\":0,\"conftype\":0,\"isInConf\":0`,
		CallActive:  `\"callstate\":2,\"conftype\":2,\"isInConf\":1`,
		CallUnknown: `\"callstate\":1`,
	}[m.Call]
	upgrade := 0
	if m.Upgrading {
		upgrade = 1
	}
	return fmt.Appendf(nil, `{"success":1,"data":"{\"state\":{%s,\"upgrade\":%d}}"}`, state, upgrade)
}

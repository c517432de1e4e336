package payload

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"roomcall/cgi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNumbersKeepTheirShortestForm(t *testing.T) {
	for x, want := range map[float64]string{
		109.54: "109.54", 0: "0", 1772452800000: "1772452800000", 0.1: "0.1", -3600.5: "-3600.5", 5: "5", 1e12: "1000000000000",
	} {
		if got := string(Encode(&Event{Value: &x})); !strings.Contains(got, `"value":`+want+",") {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
	if m := StreamMedia(&cgi.Stream{LossPct: cgi.Known(math.Copysign(0, -1))}); math.Signbit(m.Values[Loss].Value) {
		t.Error("-0 stays -0")
	}
}

func TestStringsAreValidJSONWhateverTheyHold(t *testing.T) {
	for _, s := range []string{"plain", "会议室", `quote " and \`, "line\n\x00\x7f", "<b>&", "cut \xe4\xbc", "\u2028", `"},"x":{"`, "}\n"} {
		var back struct{ Room, Codec string }
		b := Encode(&Stream{Head: Head{Room: s}, Measured: Media{Codec: s}})
		if err := json.Unmarshal(b, &back); err != nil || back.Room != string([]rune(s)) || back.Codec != string([]rune(s)) {
			t.Errorf("%q gives %s (%v)", s, b, err)
		}
		if strings.Contains(s, "<b>&") && !strings.Contains(string(b), "<b>&") {
			t.Errorf("%q is escaped in %s", s, b)
		}
	}
}

func TestAbsentReadingsAndOptionalTextsHaveNoKey(t *testing.T) {
	s := Stream{Head: Place{Device: "d"}.Head("stream", 1, 0), Media: "audio", Direction: "send",
		Measured: Media{Values: [Measures]cgi.Reading{Bitrate: cgi.Known(0), Loss: cgi.Known(math.NaN()), Jitter: cgi.Known(math.Inf(1))}}}
	want := `{"v":1,"schema":"roomcall.stream/1.0","id":".0.d.stream.1","epoch":0,"seq":1,"ts_ms":0,"ts":"1970-01-01T00:00:00.000Z",` +
		`"client_id":"","site":"","room":"","device":"d","media":"audio","direction":"send","stream":0,"bitrate_kbps":0}`
	if got := string(Encode(&s)); got != want {
		t.Errorf("%s", got)
	}
}

// keys lists the keys of a flat kind in their order.
func keys(kind string) (list []string) {
	for _, p := range FlatSchema(kind) {
		if p.Key == "properties" {
			for _, key := range p.Value.(Object) {
				list = append(list, key.Key)
			}
		}
	}
	return list
}

func TestKeysAreUniqueAndFollowTheMedia(t *testing.T) {
	for _, kind := range Kinds() {
		seen := map[string]bool{}
		for _, k := range keys(kind) {
			if seen[k] {
				t.Errorf("%s: %s is there twice", kind, k)
			}
			seen[k] = true
		}
		if !seen["id"] || !seen["device"] {
			t.Errorf("%s has no head", kind)
		}
	}
	sample := " " + strings.Join(keys("sample"), " ") + " "
	for _, k := range []string{"audio_send_mos_est", "video_recv_streams", "aux_send_fps", "video_send_fps_min", "aux_recv_width_assumed"} {
		if !strings.Contains(sample, " "+k+" ") {
			t.Errorf("no %s", k)
		}
	}
	for _, k := range []string{"audio_send_fps", "video_send_mos_est", "aux_recv_streams", "aux_send_fps_min"} {
		if strings.Contains(sample, " "+k+" ") {
			t.Errorf("%s is there", k)
		}
	}
	if New("samples") != nil {
		t.Error("an unknown kind has a record")
	}
}

func TestDecodeRefusesTheWrongTypeAndIgnoresUnknownKeys(t *testing.T) {
	var s Sample
	if err := Decode([]byte(`{"v":1,"audio_send_loss_pct":0,"later":{"x":[]}}`), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Media[AudioSend].Active || s.Media[AudioSend].Values[Loss] != cgi.Known(0) || s.Media[VideoSend].Active {
		t.Errorf("%+v", s.Media)
	}
	for _, b := range []string{`{"v":"1"}`, `{"grade":1}`, `{"audio_send_loss_pct":null}`, `{"audio_send_loss_pct":"1"}`, `{"audio_send_codec":1}`, `[]`, `{`} {
		if err := Decode([]byte(b), new(Sample)); err == nil {
			t.Errorf("%s: no error", b)
		}
	}
}

func FuzzDecodeThenEncode(f *testing.F) {
	f.Add([]byte(`{"v":1,"seq":3,"audio_send_loss_pct":1.5,"grade":"good"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range Kinds() {
			p := New(kind)
			if Decode(b, p) == nil && !json.Valid(Encode(p)) {
				t.Errorf("%s", Encode(p))
			}
		}
	})
}

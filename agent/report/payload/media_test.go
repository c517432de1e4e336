package payload

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"roomcall/cgi"
)

// A field that the endpoint's stream has gained and the table of measures has
// not would be read and never published.
func TestEveryFieldOfAStreamIsPublished(t *testing.T) {
	var whole cgi.Stream
	v := reflect.ValueOf(&whole).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case cgi.Reading:
			f.Set(reflect.ValueOf(cgi.Known(float64(40 + i))))
		case int:
			f.SetInt(int64(40 + i))
		case bool:
			f.SetBool(true)
		case string:
			f.SetString("text")
		default:
			t.Fatalf("cgi.Stream.%s has a type that this test does not know", v.Type().Field(i).Name)
		}
	}
	stream := func(s *cgi.Stream) []byte { return Encode(&Stream{Measured: StreamMedia(s)}) }
	sample := func(s *cgi.Stream) []byte {
		return Encode(&Sample{Media: GroupMedia{VideoRecv: Combine([]Media{StreamMedia(s)})}})
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "Active" || name == "Name" { // Name is published as Stream.Peer, or not at all
			continue
		}
		without := whole
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		if bytes.Equal(stream(&whole), stream(&without)) {
			t.Errorf("cgi.Stream.%s is not in the stream record", name)
		}
		if bytes.Equal(sample(&whole), sample(&without)) {
			t.Errorf("cgi.Stream.%s is not in the sample", name)
		}
	}
}

func TestEveryMeasureIsDescribed(t *testing.T) {
	keys, shorts := map[string]int{}, map[string]int{}
	for k, row := range measureTable {
		if row.key == "" || row.typ == "" || row.doc == "" {
			t.Errorf("measure %d has no key, type or description: %+v", k, row)
		}
		if row.of == nil && row.rule != derived && k != Codec {
			t.Errorf("%s is read from nowhere", row.key)
		}
		if summed := row.call|row.minute != 0; summed && (row.short == "" || row.name == "") {
			t.Errorf("%s is summed up and has no short name or name", row.key)
		}
		keys[row.key]++
		shorts[row.short]++
	}
	for key, n := range keys {
		if n > 1 {
			t.Errorf("%s is there %d times", key, n)
		}
	}
	for short, n := range shorts {
		if n > 1 && short != "" {
			t.Errorf("the short name %s is there %d times", short, n)
		}
	}
}

func TestReadingsOutOfRangeAreAbsent(t *testing.T) {
	for _, x := range []float64{-1, -0.01, math.NaN(), math.Inf(1), math.Inf(-1), 1.0001e12} {
		m := StreamMedia(&cgi.Stream{
			Active: true, BitrateKbps: cgi.Known(x), LossPct: cgi.Known(x), LossPackets: cgi.Known(x),
			JitterMs: cgi.Known(x), DelayMs: cgi.Known(x), FPS: cgi.Known(x), Width: -1, WidthAssumed: true,
		})
		if m != (Media{Active: true}) {
			t.Errorf("%v: %+v", x, m)
		}
	}
	m := StreamMedia(&cgi.Stream{LossPct: cgi.Known(100), DelayMs: cgi.Known(1e12), Width: 1})
	if m.Values[Loss] != cgi.Known(100) || m.Values[Delay] != cgi.Known(1e12) || m.Values[Width] != cgi.Known(1) || m.Values[Height].Known {
		t.Errorf("at the bounds: %+v", m)
	}
	if m := StreamMedia(&cgi.Stream{LossPct: cgi.Known(100.01)}); m.Values[Loss].Known {
		t.Error("a loss of more than 100 % is published")
	}
}

func TestCombineTakesEachMeasureByItsRule(t *testing.T) {
	one := Media{Active: true, Codec: "a"}
	two := Media{Active: true, Codec: "b"}
	for k, row := range measureTable {
		if row.of != nil {
			one.Values[k], two.Values[k] = cgi.Known(0.1), cgi.Known(0.2)
		}
	}
	m := Combine([]Media{one, two, {Values: [Measures]cgi.Reading{Loss: cgi.Known(9)}}})
	for k, want := range map[int]float64{
		Bitrate: 0.3, Loss: 0.2, LossPackets: 0.2, Jitter: 0.2, Delay: 0.2, FPS: 0.1, Width: 0.1, Height: 0.1, Streams: 2, FPSMin: 0.1,
	} {
		if m.Values[k] != cgi.Known(want) {
			t.Errorf("%s: %v, want %v", MeasureKey(k), m.Values[k], want)
		}
	}
	if m.Codec != "a" || m.Values[MOS].Known {
		t.Errorf("%+v", m)
	}
	inactive := Combine([]Media{{Values: one.Values, Codec: "a"}, two})
	if inactive.Codec != "" || inactive.Values[FPS].Known || inactive.Values[Bitrate] != cgi.Known(0.2) {
		t.Errorf("stream 0 is not active: %+v", inactive)
	}
	if got := Combine([]Media{{Values: one.Values}}); got != (Media{}) {
		t.Errorf("no active stream: %+v", got)
	}
}

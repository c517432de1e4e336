package cgi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readReply returns the raw reply of a case.
func readReply(tb testing.TB, name string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name, "reply.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// The vendor's own example of WEB_GetMultiCallStatusInfoAPI, with the values
// written down here by hand from the vendor's page.
func TestVendorExampleIsDecodedFieldByField(t *testing.T) {
	raw := readReply(t, "vendor_example")
	got, err := parseMultiCall(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := Status{
		SourceAPI:   "WEB_GetMultiCallStatusInfoAPI",
		Call:        CallActive,
		JoinMinutes: Reading{Value: 0, Known: true},
		AudioSend: Stream{
			Active: true, Codec: "AAC-LD MONO", BitrateKbps: Known(35.62), LossPct: Known(0),
			LossPackets: Known(0), JitterMs: Known(5), DelayMs: Known(5),
		},
		AudioRecv: Stream{
			Active: true, Codec: "AAC-LD MONO", BitrateKbps: Known(38.95), LossPct: Known(0),
			LossPackets: Known(0), JitterMs: Known(5), DelayMs: Known(5),
		},
		AuxSend: Stream{},
		AuxRecv: Stream{},
		VideoSend: []Stream{{
			Active: true, Codec: "H.264 EC", BitrateKbps: Known(109.54), LossPct: Known(0),
			LossPackets: Known(0), JitterMs: Known(3), DelayMs: Known(5), FPS: Known(15),
			Width: 320, Height: 180,
		}},
		VideoRecv: []Stream{{
			Active: true, Name: "site1", Codec: "H.264 EC", BitrateKbps: Known(962.76), LossPct: Known(0),
			LossPackets: Known(0), JitterMs: Known(2), DelayMs: Known(5), FPS: Known(41),
			Width: 1280, Height: 720, WidthAssumed: true,
		}},
		Raw: raw,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

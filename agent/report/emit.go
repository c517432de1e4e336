package report

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// emit writes the turn's records: sample, streams, events, calls.
func (t *turn) emit() {
	t.out.Interval = t.interval()
	if t.r.kinds["sample"] {
		t.sample.Head = t.head("sample", t.at)
	} else { // the numbers of the sample topic must not go on unseen
		t.sample.Head = t.head("state", t.at)
		t.sample.Schema = payload.SchemaName("sample")
	}
	t.out.Sample = payload.Encode(&t.sample)
	if t.r.kinds["sample"] {
		t.out.Records = append(t.out.Records, t.record("sample", &t.sample.Head, t.out.Sample))
	}
	if t.r.kinds["stream"] && t.p.Err == nil {
		t.emitStreams()
	}
	if t.r.kinds["event"] {
		for i := range t.events {
			e := &t.events[i]
			e.Head = t.head("event", t.at)
			t.out.Records = append(t.out.Records, t.record("event", &e.Head, payload.Encode(e)))
		}
	}
	if t.r.kinds["call"] {
		for i := range t.calls {
			c := &t.calls[i]
			c.Head = t.head("call", t.at)
			t.out.Records = append(t.out.Records, t.record("call", &c.Head, payload.Encode(c)))
		}
	}
}

func (t *turn) head(kind string, tsMs int64) payload.Head {
	return t.dev.place.Head(kind, t.d.next(kind), tsMs)
}

func (t *turn) record(kind string, h *payload.Head, b []byte) Record {
	return Record{
		Device: t.dev.Name, Kind: kind, Seq: h.Seq, TimeMs: h.TsMs,
		Fresh: fresh(t.interval()), Payload: b,
	}
}

// event keeps an event until the sample is written.
func (t *turn) event(ev payload.Event) { t.events = append(t.events, ev) }

// emitStreams writes one row for each active stream.
func (t *turn) emitStreams() {
	for g := range payload.Groups {
		for i, s := range t.streams[g] {
			if !s.Active {
				continue
			}
			row := t.streamRow(g, i, &s)
			row.Head = t.head("stream", t.at)
			t.out.Records = append(t.out.Records, t.record("stream", &row.Head, payload.Encode(row)))
		}
	}
}

func (t *turn) streamRow(group, index int, s *cgi.Stream) *payload.Stream {
	name := payload.GroupNames[group]
	row := &payload.Stream{
		CallID: t.sample.CallID,
		Media:  name.Media, Direction: name.Direction, Stream: int64(index),
		Peer:        t.peer(s.Name),
		BitrateKbps: s.BitrateKbps, LossPct: s.LossPct, LossPackets: s.LossPackets,
		JitterMs: s.JitterMs, DelayMs: s.DelayMs, Codec: s.Codec, FPS: s.FPS,
	}
	row.Width, row.Height, row.WidthAssumed = size(s)
	return row
}

// peer is the remote site's name as the device's setting allows. The hash is the
// first 16 hex digits of HMAC-SHA-256 under the site's key: the same name gives
// the same hash wherever the key is the same.
func (t *turn) peer(name string) string {
	switch {
	case name == "":
		return ""
	case t.dev.PeerNames == "plain":
		return clip(name)
	case t.dev.PeerNames == "hash":
		m := hmac.New(sha256.New, t.r.set.PeerKey)
		m.Write([]byte(name))
		return hex.EncodeToString(m.Sum(nil)[:8])
	default:
		return ""
	}
}

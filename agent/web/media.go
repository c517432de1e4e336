package web

import (
	"encoding/json"

	"roomcall/agent/health"
)

// medium is one media kind in one direction of the newest sample.
type medium struct{ media, direction string }

func (m medium) key(name string) string { return m.media + "_" + m.direction + "_" + name }

var media = []medium{
	{"audio", "recv"}, {"audio", "send"},
	{"video", "recv"}, {"video", "send"},
	{"aux", "recv"}, {"aux", "send"},
}

// mediaMetrics says how a key of the sample becomes a metric in base units:
// value x scale. The JSON payload keeps kbit/s, percent and milliseconds.
var mediaMetrics = []struct {
	key    string
	scale  float64
	metric *metric
}{
	{"bitrate_kbps", 1000.0 / 8, mediaDesc("bytes_per_second", "Media bytes a second that the endpoint reports.")},
	{"loss_pct", 1.0 / 100, mediaDesc("loss_ratio", "Share of packets lost, 0 to 1, as the endpoint reports it over some seconds.")},
	{"jitter_ms", 1.0 / 1000, mediaDesc("jitter_seconds", "Jitter that the endpoint reports.")},
	{"delay_ms", 1.0 / 1000, mediaDesc("delay_seconds", "Network delay that the endpoint reports; one-way or round trip is not documented.")},
	{"fps", 1, mediaDesc("frames_per_second", "Frames a second of the main stream.")},
	{"height", 1, mediaDesc("frame_height_pixels", "Height of the picture of the main stream.")},
	{"mos_est", 1, mediaDesc("mos_estimate", "Estimated mean opinion score of the audio, 1 to 5.")},
}

func mediaDesc(name, help string) *metric {
	return desc("media_"+name, help, "device", "media", "direction")
}

// media sends what the newest sample says; a value that it does not have is no
// series. A failed poll's sample has no media keys, so the series end at once.
func (o *scrape) media(e health.Endpoint) {
	values := measurements(e.Sample)
	for _, m := range media {
		for _, mm := range mediaMetrics {
			if v, ok := values[m.key(mm.key)]; ok {
				o.gauge(mm.metric, v*mm.scale, e.Device, m.media, m.direction)
			}
		}
	}
}

// measurements are the numbers of a flat sample payload by key. What is no
// number, and a payload that cannot be read, is left out.
func measurements(sample json.RawMessage) map[string]float64 {
	var raw map[string]any
	if len(sample) == 0 || json.Unmarshal(sample, &raw) != nil {
		return nil
	}
	out := make(map[string]float64, len(raw))
	for k, v := range raw {
		if f, ok := v.(float64); ok {
			out[k] = f
		}
	}
	return out
}

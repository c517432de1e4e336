package stricttest

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// ZoomMedia is one direction of one medium in one minute; nil: the reply said "".
type ZoomMedia struct {
	BitrateKbps, LatencyMs, JitterMs *int
	AvgLossPct, MaxLossPct           *float64
	Width, Height, FrameRate         *int
}

// ZoomMinute is one element of `data`.
type ZoomMinute struct {
	At    time.Time // start of the minute, UTC
	Media map[string]ZoomMedia
}

var (
	zoomKbps = regexp.MustCompile(`^(?:(\d{1,6}) kbps)?$`)
	zoomMs   = regexp.MustCompile(`^(?:(\d{1,6}) ms)?$`)
	zoomLoss = regexp.MustCompile(`^(?:(\d{1,3}\.\d)%)?$`)
	zoomCPU  = regexp.MustCompile(`^(?:\d{1,3}%)?$`)
	zoomSize = regexp.MustCompile(`^(?:(\d{1,5})\*(\d{1,5}))?$`)
	zoomFps  = regexp.MustCompile(`^(?:(\d{1,3}) fps)?$`)
)

// Zoom reads the reply of metrics/participants/qos. It returns every error of the reply.
// The document leaves resolution and frame_rate empty; what Zoom itself writes there is
// "1280*720" and "15 fps".
func Zoom(doc []byte) ([]ZoomMinute, error) {
	r, v := open(doc)
	o := r.object("$", v, "status", "message", "data")
	r.integer("$.status", o.values["status"], 200, 200)
	if m := r.text("$.message", o.values["message"]); m != "OK" {
		r.fail("$.message", "%q, want OK", m)
	}
	var out []ZoomMinute
	for i, e := range r.list("$.data", o.values["data"]) {
		path := fmt.Sprintf("$.data[%d]", i)
		row := r.object(path, e, "date_time", "audio_input", "audio_output", "video_input", "video_output", "as_input", "as_output", "cpu_usage")
		m := ZoomMinute{At: r.time(path+".date_time", row.values["date_time"]), Media: map[string]ZoomMedia{}}
		if s, _ := row.values["date_time"].(string); s != m.At.UTC().Format("2006-01-02T15:04:00Z") {
			r.fail(path+".date_time", "%q is not a whole minute in UTC", s)
		}
		if i > 0 && len(out) > 0 && !m.At.After(out[len(out)-1].At) {
			r.fail(path+".date_time", "minutes do not rise")
		}
		for _, name := range []string{"audio_input", "audio_output", "video_input", "video_output", "as_input", "as_output"} {
			m.Media[name] = zoomMedia(r, path+"."+name, row.values[name], name[0] != 'a' || name[1] == 's')
		}
		cpu := r.object(path+".cpu_usage", row.values["cpu_usage"], "zoom_min_cpu_usage", "zoom_avg_cpu_usage", "zoom_max_cpu_usage", "system_max_cpu_usage")
		for _, k := range cpu.keys {
			r.match(path+".cpu_usage."+k, cpu.values[k], zoomCPU)
		}
		out = append(out, m)
	}
	return out, r.err()
}

func zoomMedia(r *reader, path string, v any, picture bool) ZoomMedia {
	keys := []string{"bitrate", "latency", "jitter", "avg_loss", "max_loss"}
	if picture {
		keys = append(keys, "resolution", "frame_rate")
	}
	o := r.object(path, v, keys...)
	whole := func(key string, re *regexp.Regexp) *int {
		m := r.match(path+"."+key, o.values[key], re)
		if m == nil || m[1] == "" {
			return nil
		}
		n, _ := strconv.Atoi(m[1])
		return &n
	}
	loss := func(key string) *float64 {
		m := r.match(path+"."+key, o.values[key], zoomLoss)
		if m == nil || m[1] == "" {
			return nil
		}
		f, _ := strconv.ParseFloat(m[1], 64)
		if f > 100 {
			r.fail(path+"."+key, "%v %% is more than all", f)
		}
		return &f
	}
	out := ZoomMedia{BitrateKbps: whole("bitrate", zoomKbps), LatencyMs: whole("latency", zoomMs), JitterMs: whole("jitter", zoomMs),
		AvgLossPct: loss("avg_loss"), MaxLossPct: loss("max_loss")}
	if (out.AvgLossPct == nil) != (out.MaxLossPct == nil) || out.AvgLossPct != nil && *out.AvgLossPct > *out.MaxLossPct {
		r.fail(path, "avg_loss is more than max_loss")
	}
	if picture {
		if m := r.match(path+".resolution", o.values["resolution"], zoomSize); m != nil && m[1] != "" {
			w, _ := strconv.Atoi(m[1])
			h, _ := strconv.Atoi(m[2])
			if w == 0 || h == 0 {
				r.fail(path+".resolution", "a side is 0")
			}
			out.Width, out.Height = &w, &h
		}
		out.FrameRate = whole("frame_rate", zoomFps)
	}
	return out
}

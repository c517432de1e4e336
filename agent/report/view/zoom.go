package view

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"roomcall/agent/report/payload"
)

// Zoom is the reply of umeeting's participant QoS.
type Zoom struct {
	Status  int          `json:"status"`
	Message string       `json:"message"`
	Data    []ZoomMinute `json:"data"`
	Meta    *Meta        `json:"_meta,omitempty"`
}

// ZoomMinute is one minute of a participant. A value that is not there is "".
type ZoomMinute struct {
	DateTime    string    `json:"date_time"`
	AudioInput  ZoomAudio `json:"audio_input"`
	AudioOutput ZoomAudio `json:"audio_output"`
	VideoInput  ZoomVideo `json:"video_input"`
	VideoOutput ZoomVideo `json:"video_output"`
	AsInput     ZoomVideo `json:"as_input"`
	AsOutput    ZoomVideo `json:"as_output"`
	CPUUsage    ZoomCPU   `json:"cpu_usage"`
}

// ZoomAudio is audio in one direction.
type ZoomAudio struct {
	Bitrate string `json:"bitrate"`
	Latency string `json:"latency"`
	Jitter  string `json:"jitter"`
	AvgLoss string `json:"avg_loss"`
	MaxLoss string `json:"max_loss"`
}

// ZoomVideo is video or the content share in one direction.
type ZoomVideo struct {
	ZoomAudio
	Resolution string `json:"resolution"`
	FrameRate  string `json:"frame_rate"`
}

// ZoomCPU stays empty: the endpoint does not say it.
type ZoomCPU struct {
	ZoomMin   string `json:"zoom_min_cpu_usage"`
	ZoomAvg   string `json:"zoom_avg_cpu_usage"`
	ZoomMax   string `json:"zoom_max_cpu_usage"`
	SystemMax string `json:"system_max_cpu_usage"`
}

// zoomMinutes makes the reply from the minutes of a call. Input is what the room
// receives, output what it sends; Options.Swap exchanges them.
func zoomMinutes(f *Facts, o *Options) any {
	z := &Zoom{Status: 200, Message: "OK", Data: []ZoomMinute{}, Meta: meta("zoom", f, o)}
	for i := range f.Minutes {
		m := &f.Minutes[i]
		media := m.Media
		if o.Swap {
			for g := 0; g < payload.Groups; g += 2 {
				media[g], media[g+1] = media[g+1], media[g]
			}
		}
		z.Data = append(z.Data, ZoomMinute{
			DateTime:    time.UnixMilli(m.StartMs).UTC().Format(time.RFC3339),
			AudioInput:  zoomAudio(media[payload.AudioRecv]),
			AudioOutput: zoomAudio(media[payload.AudioSend]),
			VideoInput:  zoomVideo(media[payload.VideoRecv]),
			VideoOutput: zoomVideo(media[payload.VideoSend]),
			AsInput:     zoomVideo(media[payload.AuxRecv]),
			AsOutput:    zoomVideo(media[payload.AuxSend]),
		})
	}
	return z
}

func zoomAudio(m payload.Summary) ZoomAudio {
	return ZoomAudio{
		Bitrate: whole(m, "bitrate_kbps_last", " kbps"), Latency: whole(m, "delay_ms_last", " ms"), Jitter: whole(m, "jitter_ms_last", " ms"),
		AvgLoss: percent(m, "loss_pct_avg"), MaxLoss: percent(m, "loss_pct_max"),
	}
}

func zoomVideo(m payload.Summary) ZoomVideo {
	v := ZoomVideo{ZoomAudio: zoomAudio(m), FrameRate: whole(m, "fps_last", " fps")}
	width, w := m["width_last"]
	if height, h := m["height_last"]; w && h {
		v.Resolution = fmt.Sprintf("%.0f*%.0f", width, height)
	}
	return v
}

// whole is a statistic as a whole number with its unit, "" = absent.
func whole(m payload.Summary, key, unit string) string {
	x, ok := m[key]
	if !ok {
		return ""
	}
	return strconv.FormatFloat(math.Round(x), 'f', 0, 64) + unit
}

func percent(m payload.Summary, key string) string {
	x, ok := m[key]
	if !ok {
		return ""
	}
	return strconv.FormatFloat(x, 'f', 1, 64) + "%"
}

package view

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"roomcall/agent/report/payload"
)

// Volc is the reply of ListQuality.
type Volc struct {
	ResponseMetadata VolcMetadata `json:"ResponseMetadata"`
	Result           VolcResult   `json:"Result"`
	Meta             *Meta        `json:"_meta,omitempty"`
}

// VolcMetadata is the head of the reply.
type VolcMetadata struct {
	RequestID string `json:"RequestId"`
	Action    string `json:"Action"`
	Version   string `json:"Version"`
	Service   string `json:"Service"`
	Region    string `json:"Region"`
}

// VolcResult holds the indicators.
type VolcResult struct {
	AggregateGranularity string          `json:"AggregateGranularity"`
	Indicators           []VolcIndicator `json:"Indicators"`
}

// VolcIndicator is one indicator over time.
type VolcIndicator struct {
	Name string     `json:"Name"`
	Unit string     `json:"Unit"`
	Data []VolcItem `json:"Data"`
}

// VolcItem is one bucket: its start and its value.
type VolcItem struct {
	TimeStamp string `json:"TimeStamp"`
	Value     Fixed2 `json:"Value"`
}

// Fixed2 is a number written with two decimals.
type Fixed2 float64

// MarshalJSON writes two decimals.
func (f Fixed2) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(f), 'f', 2, 64), nil
}

// Granularities are the bucket lengths by their names.
var Granularities = map[string]time.Duration{"5min": 5 * time.Minute, "1d": 24 * time.Hour}

// volcIndicators are names of our own: none of the system's indicators can be
// derived, and unlike things must not be compared. volcAbsent are those that its
// document names.
var (
	volcIndicators = [...]string{
		"audio_uplink_loss_rate", "audio_downlink_loss_rate",
		"video_uplink_loss_rate", "video_downlink_loss_rate", "poor_time_rate",
	}
	volcAbsent = []string{"stall_rate", "join_room_success_rate", "5s_join_room_success_rate", "10s_join_room_success_rate", "AudioStallDuration"}
)

// Bucket sums one span of time: loss of audio and video by direction, and how
// many of the graded samples were poor.
type Bucket struct {
	StartMs int64      `json:"start_ms"`
	N       [5]int64   `json:"n"`
	Sum     [5]float64 `json:"sum"`
}

// StartOf is the start of the bucket of a granularity; a day begins at midnight in
// the zone. EndOf is the start of the next one.
func StartOf(ms int64, granularity string, zone *time.Location) int64 {
	if granularity == "1d" {
		y, m, d := time.UnixMilli(ms).In(zone).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, zone).UnixMilli()
	}
	d := Granularities[granularity].Milliseconds()
	return ms - ((ms%d)+d)%d
}

// EndOf is the end of the bucket that starts at a time.
func EndOf(start int64, granularity string, zone *time.Location) int64 {
	if granularity == "1d" {
		y, m, d := time.UnixMilli(start).In(zone).Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, zone).UnixMilli()
	}
	return start + Granularities[granularity].Milliseconds()
}

// Add counts a sample's point.
func (b *Bucket) Add(p *Point) {
	for g := payload.AudioSend; g <= payload.VideoRecv; g++ {
		if x := p.get(g, loss); x.Known {
			b.N[g]++
			b.Sum[g] += x.Value
		}
	}
	if p.Grade > 0 {
		b.N[4]++
		if p.Grade == gradePoor {
			b.Sum[4] += 100
		}
	}
}

// Empty: no sample said anything.
func (b *Bucket) Empty() bool { return b.N == [5]int64{} }

// volcQuality makes the reply from the points of the buckets that are asked for.
func volcQuality(f *Facts, o *Options) any {
	return volc(bucketsOf(f.Points, o), f, o)
}

// VolcDocument makes the document of one finished bucket.
func VolcDocument(b Bucket, granularity string, zone *time.Location) *Volc {
	return volc([]Bucket{b}, &Facts{}, &Options{Part: "quality", Granularity: granularity, Zone: zone})
}

// volc makes the reply from buckets sorted by time.
func volc(buckets []Bucket, f *Facts, o *Options) *Volc {
	v := &Volc{
		ResponseMetadata: VolcMetadata{Action: "ListQuality", Version: "2020-12-01", Service: "rtc"},
		Result:           VolcResult{AggregateGranularity: o.granularity(), Indicators: []VolcIndicator{}},
		Meta:             meta("volc", f, o),
	}
	for i, name := range volcIndicators {
		ind := VolcIndicator{Name: name, Unit: "%"}
		for _, b := range buckets {
			if b.N[i] == 0 || !o.asks(name) {
				continue
			}
			ind.Data = append(ind.Data, VolcItem{
				TimeStamp: time.UnixMilli(b.StartMs).In(o.zone()).Format("2006-01-02T15:04:05-07:00"),
				Value:     Fixed2(b.Sum[i] / float64(b.N[i])),
			})
		}
		if len(ind.Data) > 0 {
			v.Result.Indicators = append(v.Result.Indicators, ind)
		}
	}
	return v
}

func (o *Options) granularity() string { return cmp.Or(o.Granularity, "5min") }

// bucketsOf groups points, which are sorted by time.
func bucketsOf(points []Point, o *Options) []Bucket {
	var out []Bucket
	for i := range points {
		start := StartOf(points[i].TsMs, o.granularity(), o.zone())
		if !o.in(start) {
			continue
		}
		if len(out) == 0 || out[len(out)-1].StartMs != start {
			out = append(out, Bucket{StartMs: start})
		}
		out[len(out)-1].Add(&points[i])
	}
	return slices.DeleteFunc(out, func(b Bucket) bool { return b.Empty() })
}

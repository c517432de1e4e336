package view

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"roomcall/agent/report/payload"
)

const minuteMs = 60_000

// minuteFacts are the points of one minute.
type minuteFacts struct {
	start  int64
	points []*Point
}

// byMinute groups the points by UTC minute.
func byMinute(points []Point) []minuteFacts {
	var out []minuteFacts
	for i := range points {
		p := &points[i]
		start := p.TsMs / minuteMs * minuteMs
		if len(out) == 0 || out[len(out)-1].start != start {
			out = append(out, minuteFacts{start: start})
		}
		m := &out[len(out)-1]
		m.points = append(m.points, p)
	}
	return out
}

// live has the number of rooms in a call and, when approximate values are
// wanted, the share of samples with 5 % loss or less on the way up.
func (a *Agora) live(f *Facts, approximate bool) {
	for _, m := range byMinute(f.Points) {
		users, channels := map[string]bool{}, map[int]bool{}
		for _, p := range m.points {
			users[f.Calls[p.Call].place()] = true
			channels[p.Call] = true
		}
		pcu, pcc := int64(len(users)), int64(len(channels))
		row := AgoraRow{PCU: &pcu, PCC: &pcc, Ts: m.start / 1000}
		if approximate {
			row.AudioUp = excellent(m.points, payload.AudioSend)
			row.VideoUp = excellent(m.points, payload.VideoSend)
		}
		a.Data = append(a.Data, row)
	}
}

// excellent is the share of samples with a loss of at most 5 %, in percent; nil
// without a sample that says it.
func excellent(points []*Point, group int) *float64 {
	n, good := 0, 0
	for _, p := range points {
		if x := p.get(group, loss); x.Known {
			n++
			if x.Value <= 5 {
				good++
			}
		}
	}
	if n == 0 {
		return nil
	}
	v := math.Round(10000*float64(good)/float64(n)) / 100
	return &v
}

// Agora's experience ids. Freezing is not measured here, so they are given only
// when suspicion is asked for.
const (
	expVideo, expAudio = 4, 5
	maxTags            = 3
	gradePoor          = 3
)

// diagnosis has one row a minute and call that was poor, with its causes.
func (a *Agora) diagnosis(f *Facts, suspected bool) {
	for _, m := range byMinute(f.Points) {
		count := map[int]map[int]int{} // call, factor
		for _, p := range m.points {
			if p.Grade != gradePoor {
				continue
			}
			if count[p.Call] == nil {
				count[p.Call] = map[int]int{}
			}
			for _, id := range p.Factors {
				count[p.Call][id]++
			}
		}
		for _, call := range slices.Sorted(maps.Keys(count)) {
			row := AgoraRow{User: f.Calls[call].Device, CName: f.Calls[call].name(), Ts: m.start / 1000}
			row.tags(count[call], suspected)
			if len(row.CauseTags) > 0 {
				a.Data = append(a.Data, row)
			}
		}
	}
}

// audioFactors are the factor ids of audio.
var audioFactors = []int{9, 22, 24, 43, 45, 47}

// tags names the most frequent causes. All are measured between the room and the
// server, so host_user is "", the room's own.
func (r *AgoraRow) tags(count map[int]int, suspected bool) {
	ids := slices.SortedFunc(maps.Keys(count), func(a, b int) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	for _, id := range ids[:min(len(ids), maxTags)] {
		r.CauseTags = append(r.CauseTags, AgoraTag{FactorID: id})
	}
	if suspected && len(ids) > 0 {
		r.ExpID = expVideo
		if slices.Contains(audioFactors, ids[0]) {
			r.ExpID = expAudio
		}
	}
}

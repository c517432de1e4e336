package report

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/cgi"
)

// The judge: a second, simple way from the values of the published samples to grade,
// reasons, causes and scopes. It knows the limits by their published numbers and uses
// nothing of the product.

// bound is fair and poor; 0 = there is none.
type bound [2]float64

// judged are the limits of a profile: loss, delay, jitter and frame rate of a medium, and
// whether a value at the limit is still within it.
type judged struct {
	limits                 map[string][4]bound
	strictFair, strictPoor bool
}

var judgedProfiles = map[string]judged{
	"huawei": {map[string][4]bound{"audio": {{5, 10}, {150, 250}, {30, 50}}, "video": {{1, 3}, {150, 250}, {30, 50}}, "aux": {{1, 3}, {150, 250}, {30, 50}}}, false, false},
	"teams": {map[string][4]bound{"audio": {{0, 10}, {0, 500}, {0, 30}}, "video": {{0, 15}, {0, 500}, {0, 30}, {0, 7}},
		"aux": {{0, 15}, {0, 500}, {0, 30}, {0, 2}}}, false, true},
	"polycom": {map[string][4]bound{"video": {{1, 5}}, "aux": {{1, 5}}}, false, true},
	"vidyo":   {map[string][4]bound{"audio": {{1, 5}, {250, 450}, {100, 200}}, "video": {{1, 5}, {250, 450}, {100, 200}}, "aux": {{1, 5}, {250, 450}, {100, 200}}}, true, true},
	"own":     {map[string][4]bound{"audio": {{2, 4}}, "video": {{2, 4}, {100, 0}, {}, {20, 10}}}, false, false},
}

// The order in which causes are named: what is lost before what is late before what is
// uneven before what is slow; and of one metric the groups in this order.
var (
	judgeMetrics = []string{"loss_pct", "delay_ms", "jitter_ms", "fps"}
	judgeGroups  = []string{"audio_send", "audio_recv", "video_send", "video_recv", "aux_send", "aux_recv"}
	judgeFactors = map[string]string{
		"audio_send_loss": "22", "audio_recv_loss": "24", "video_send_loss": "21", "video_recv_loss": "23",
		"audio_send_delay": "43", "audio_recv_delay": "9", "video_send_delay": "42", "video_recv_delay": "8",
		"audio_send_jitter": "45", "audio_recv_jitter": "47", "video_send_jitter": "44", "video_recv_jitter": "46",
	}
)

// level is 0 for what cannot be judged, 1 good, 2 fair, 3 poor.
func (p *judged) level(medium string, metric int, x float64, known bool) int {
	b := p.limits[medium][metric]
	if !known || b == (bound{}) {
		return 0
	}
	beyond := func(limit float64, strict bool) bool {
		switch {
		case limit == 0:
			return false
		case metric == 3:
			return x < limit
		}
		return x > limit || x == limit && !strict
	}
	switch {
	case beyond(b[1], p.strictPoor):
		return 3
	case beyond(b[0], p.strictFair):
		return 2
	}
	return 1
}

// opinion is what the judge makes of one sample.
type opinion struct {
	grade   int
	levels  map[string]int // by word, "video_recv_loss"
	reasons []string
	scope   string
	streams int
	bad     int
}

func (p *judged) sample(s map[string]any, streams []map[string]any) opinion {
	o := opinion{levels: map[string]int{}}
	excess := map[string]float64{}
	unsure := false
	for _, group := range judgeGroups {
		medium, _, _ := strings.Cut(group, "_")
		active := slices.ContainsFunc(slices.Collect(maps.Keys(s)), func(k string) bool { return strings.HasPrefix(k, group+"_") })
		if !active || p.limits[medium] == ([4]bound{}) {
			continue
		}
		worst, lossUnknown := 0, false
		for metric, key := range judgeMetrics {
			x, known := s[group+"_"+key].(float64)
			l := p.level(medium, metric, x, known)
			word := group + "_" + judgeWord(metric)
			o.levels[word] = l
			worst = max(worst, l)
			b := p.limits[medium][metric]
			limit := b[1]
			if limit == 0 {
				limit = b[0]
			}
			if limit > 0 && known {
				if excess[word] = x / limit; metric == 3 {
					excess[word] = limit / max(x, 0.001)
				}
			}
			lossUnknown = lossUnknown || metric == 0 && b != (bound{}) && !known
		}
		unsure = unsure || worst == 0 || worst == 1 && lossUnknown
		o.grade = max(o.grade, worst)
	}
	if unsure && o.grade < 2 {
		o.grade = 0
	}
	if o.grade >= 2 {
		for metric := range judgeMetrics {
			var list []string
			for _, group := range judgeGroups {
				if word := group + "_" + judgeWord(metric); o.levels[word] == o.grade {
					list = append(list, word)
				}
			}
			slices.SortStableFunc(list, func(a, b string) int { return compareFloat(excess[b], excess[a]) })
			o.reasons = append(o.reasons, list...)
		}
	}
	for _, m := range streams {
		o.streams++
		for metric := range 3 {
			if x, known := m[judgeMetrics[metric]].(float64); o.grade >= 2 && p.level("video", metric, x, known) >= o.grade {
				o.bad++
				break
			}
		}
	}
	o.scope = o.where()
	return o
}

func judgeWord(metric int) string { return []string{"loss", "delay", "jitter", "fps"}[metric] }

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func network(word string) bool {
	return strings.HasPrefix(word, "video_recv_") && word != "video_recv_fps"
}

func (o *opinion) where() string {
	sent := slices.ContainsFunc(o.reasons, func(w string) bool { return strings.Contains(w, "_send_") })
	received := slices.ContainsFunc(o.reasons, func(w string) bool { return strings.Contains(w, "_recv_") })
	onlyVideo := len(o.reasons) > 0 && !slices.ContainsFunc(o.reasons, func(w string) bool { return !network(w) })
	switch {
	case onlyVideo && o.bad > 0 && o.bad < o.streams:
		return "far_end"
	case sent && received:
		return "both"
	case sent:
		return "uplink"
	case received:
		return "downlink"
	}
	return ""
}

// causes ranks the reasons of samples at a grade or worse by the number of samples.
func causes(list []opinion, grade int) []string {
	count := map[string]int{}
	for _, o := range list {
		for word, l := range o.levels {
			if l >= grade {
				count[word]++
			}
		}
	}
	var order []string
	for metric := range judgeMetrics {
		for _, group := range judgeGroups {
			if word := group + "_" + judgeWord(metric); count[word] > 0 {
				order = append(order, word)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return count[b] - count[a] })
	return order
}

func ids(words []string) string {
	var list []string
	for _, w := range words {
		if id := judgeFactors[w]; id != "" && len(list) < 3 {
			list = append(list, id)
		}
	}
	return strings.Join(list, ",")
}

// side says what several received streams tell of a cause, of the samples in which it is
// at the grade.
func side(list []opinion, cause string, grade int) string {
	if !network(cause) {
		return ""
	}
	far, own := 0, 0
	for _, o := range list {
		if o.levels[cause] < grade || o.levels[cause] != o.grade || o.streams < 2 {
			continue
		}
		if o.bad < o.streams {
			far++
		} else {
			own++
		}
	}
	switch {
	case far > own:
		return "far_end"
	case own > 0:
		return "own_access"
	}
	return ""
}

// randomPolls is a call of a random length with readings around the limits of everybody.
func randomPolls(rng *rand.Rand, at float64) (polls []Poll, end float64) {
	some := func(choices ...float64) cgi.Reading {
		if rng.IntN(12) == 0 {
			return cgi.Reading{}
		}
		x := choices[rng.IntN(len(choices))]
		if rng.IntN(3) > 0 {
			x *= 0.2 + 1.3*rng.Float64()
		}
		return cgi.Known(float64(int(x*100)) / 100)
	}
	badness := rng.IntN(4)                           // most calls have one kind of trouble, some many
	strength := []float64{0.02, 0.5, 1}[rng.IntN(3)] // of no matter, half, all of it
	rare := []int{1, 30}[rng.IntN(2)]                // all the time, now and then
	mixed := rng.IntN(4) == 0                        // now one far end is bad, a little or much, now all that is received
	stream := func(where int) cgi.Stream {
		s := cgi.Stream{Active: rng.IntN(20) > 0, BitrateKbps: cgi.Known(500), LossPct: some(0.1, 0.5), DelayMs: some(20, 40), JitterMs: some(3, 9), FPS: some(30, 25)}
		if !mixed && (badness == 3 || badness == where || rng.IntN(9) == 0) && rng.IntN(2) == 0 && rng.IntN(rare) == 0 {
			s.LossPct, s.DelayMs, s.JitterMs, s.FPS = some(0.1, 1, 3, 5, 10, 15), some(40, 100, 150, 250, 450, 500), some(5, 30, 50, 100, 200), some(2, 7, 10, 20, 30)
			if strength < 1 {
				s.LossPct.Value, s.DelayMs.Value, s.JitterMs.Value, s.FPS = s.LossPct.Value*strength, s.DelayMs.Value*strength, s.JitterMs.Value*strength, cgi.Known(25)
			}
		}
		return s
	}
	polls = append(polls, poll(at, idle()))
	interval := []float64{1, 5, 5, 10}[rng.IntN(4)]
	sites := rng.IntN(4)
	for range 2 + rng.IntN(40) {
		at += interval
		if rng.IntN(40) == 0 {
			polls = append(polls, failed(at, cgi.KindUnreachable, "timeout"))
			continue
		}
		s := inCall(-1)
		s.AudioSend, s.AudioRecv, s.VideoSend, s.VideoRecv = stream(0), stream(1), []cgi.Stream{stream(0)}, nil
		all, one := mixed && rng.IntN(5) == 0, mixed && rng.IntN(2) == 0
		for site := range sites {
			v := stream(2)
			switch {
			case all:
				v.LossPct = cgi.Known(float64(16 + site))
			case one && site == 0:
				v.LossPct = cgi.Known([]float64{2, 2.5, 16}[rng.IntN(3)])
			}
			s.VideoRecv = append(s.VideoRecv, v)
		}
		if rng.IntN(3) == 0 {
			s.AuxSend, s.AuxRecv = stream(0), stream(1)
		}
		polls = append(polls, poll(at, s))
	}
	at += interval
	polls = append(polls, poll(at, idle()), poll(at+90, idle()))
	return polls, at
}

// TestNoWrongCauseInAThousandRandomCalls compares grade, reasons and scope of each sample,
// cause, cause_ids and cause_scope of each call, and the causes of each minute's diagnosis
// with the judge.
func TestNoWrongCauseInAThousandRandomCalls(t *testing.T) {
	own, err := NewProfile("own", "", map[string]float64{"audio_loss_pct_fair": 2, "audio_loss_pct_poor": 4, "video_loss_pct_fair": 2, "video_loss_pct_poor": 4,
		"video_delay_ms_fair": 100, "video_fps_fair": 20, "video_fps_poor": 10})
	if err != nil {
		t.Fatal(err)
	}
	grades, scopes, diagnosed := map[any]int{}, map[any]int{}, 0
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(12, seed))
		profile := append(Profiles(), own)[seed%5]
		j := judgedProfiles[profile.Name]
		polls, _ := randomPolls(rng, float64(rng.IntN(60)))
		rep := reporter(t, func(s *Settings) {
			s.Views, s.Kinds = []string{"agora"}, []string{"sample", "stream", "event", "call", "minute"}
			s.Devices[0].Limits, s.Devices[0].PollInterval = profile, polls[1].At.Sub(polls[0].At)
		})
		records, _ := script(t, rep, polls...)

		streams := map[any][]map[string]any{}
		for _, m := range of(t, records, "stream") {
			if m["media"] == "video" && m["direction"] == "recv" {
				streams[m["ts_ms"]] = append(streams[m["ts_ms"]], m)
			}
		}
		var all []opinion
		minutes := map[float64][]opinion{}
		for _, s := range of(t, records, "sample") {
			if s["call_id"] == nil {
				continue
			}
			o := j.sample(s, streams[s["ts_ms"]])
			all = append(all, o)
			m := float64(int64(s["ts_ms"].(float64)) / 60_000 * 60)
			minutes[m] = append(minutes[m], o)
			got := []any{s["grade_code"], text(s["grade_reasons"]), text(s["grade_scope"])}
			if want := []any{float64(o.grade), strings.Join(o.reasons, ","), o.scope}; !slices.Equal(got, want) {
				t.Fatalf("call %d (%s): sample %v, the judge says %v\n%v", seed, profile.Name, got, want, s)
			}
		}
		calls := of(t, records, "call")
		if len(calls) != 1 {
			t.Fatalf("call %d: %d call records", seed, len(calls))
		}
		c := calls[0]
		grade := callGrade(c)
		grades[c["grade"]]++
		want := []any{grade, "", "", ""}
		if grade >= 2 {
			order := causes(all, grade)
			want = []any{grade, order[0], ids(order), side(all, order[0], grade)}
		}
		got := []any{int(c["grade_code"].(float64)), text(c["cause"]), text(c["cause_ids"]), text(c["cause_scope"])}
		if !slices.Equal(got, want) {
			t.Errorf("call %d (%s): %v, the judge says %v", seed, profile.Name, got, want)
		}
		scopes[text(c["cause_scope"])]++
		diagnosed += checkDiagnoses(t, records, minutes, seed)
	}
	for what, n := range map[string]int{"good": grades["good"], "fair": grades["fair"], "poor": grades["poor"], "far_end": scopes["far_end"], "own_access": scopes["own_access"], "diagnosed": diagnosed} {
		if n < 20 {
			t.Errorf("only %d calls are %s: too few to prove anything", n, what)
		}
	}
	t.Log(grades, scopes, diagnosed)
}

func text(x any) string {
	if x == nil {
		return ""
	}
	return fmt.Sprint(x)
}

// callGrade is the grade of a call by the seconds of each.
func callGrade(c map[string]any) int {
	get := func(k string) float64 { x, _ := c["seconds_"+k].(float64); return x }
	known := get("good") + get("fair") + get("poor")
	switch {
	case known == 0:
		return 0
	case get("poor") >= 0.05*known:
		return 3
	case get("poor")+get("fair") >= 0.05*known:
		return 2
	case known < 0.5*(known+get("unknown")):
		return 0
	}
	return 1
}

// checkDiagnoses compares the rows of the live diagnosis with the poor samples of their
// minutes.
func checkDiagnoses(t *testing.T, records []Record, minutes map[float64][]opinion, seed uint64) (rows int) {
	got := map[float64]string{}
	for _, d := range of(t, records, "view/agora") {
		if d["_meta"].(map[string]any)["part"] != "diagnosis" {
			continue
		}
		for _, row := range d["data"].([]any) {
			row := row.(map[string]any)
			var tags []string
			for _, tag := range row["cause_tags"].([]any) {
				tags = append(tags, fmt.Sprint(tag.(map[string]any)["factor_id"]))
			}
			got[row["ts"].(float64)] = strings.Join(tags, ",")
			rows++
		}
	}
	for m, list := range minutes {
		poor := slices.DeleteFunc(slices.Clone(list), func(o opinion) bool { return o.grade != 3 })
		want := ""
		if len(poor) > 0 {
			want = ids(causes(poor, 3))
		}
		if got[m] != want {
			t.Errorf("call %d: diagnosis of %s: %q, the judge says %q", seed, time.Unix(int64(m), 0).UTC(), got[m], want)
		}
	}
	return rows
}

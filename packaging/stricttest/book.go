package stricttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Book holds what the published samples and streams say, by its own arithmetic: events,
// calls and minutes are not read, and no package of the product is used. Every number of
// every document is compared with it.
type Book struct {
	Calls []*BookCall // by start
	rooms map[string][]*bookSample
}

// BookCall is one call as its samples tell of it.
type BookCall struct {
	ID, Client, Device, Name, Model string
	Start, End                      int64 // Unix seconds
	Finished, Sends                 bool
	samples                         []*bookSample
	streams                         []*bookStream
}

// Place names the room among several agents.
func (c *BookCall) Place() string { return c.Client + "/" + c.Device }

func (c *BookCall) first() int64 { return c.samples[0].ms }
func (c *BookCall) last() int64  { return c.samples[len(c.samples)-1].ms }

type bookSample struct {
	ms     int64
	call   string
	answer bool
	grade  int64
	value  map[string]float64
	text   map[string]string
}

type bookStream struct {
	ms    int64
	index int64
	peer  string
	value map[string]float64
}

// has reports whether a group said anything: it was active.
func (s *bookSample) has(group string) bool {
	for k := range s.value {
		if strings.HasPrefix(k, group+"_") {
			return true
		}
	}
	return s.text[group+"_codec"] != ""
}

// Read reads records, one a line, in any order, with duplicates.
func Read(records []byte) (*Book, error) {
	b := &Book{rooms: map[string][]*bookSample{}}
	calls, seen := map[string]*BookCall{}, map[string]bool{}
	var streams []map[string]any
	for n, lineText := range bytes.Split(records, []byte("\n")) {
		if len(bytes.TrimSpace(lineText)) == 0 {
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal(lineText, &doc); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		id, _ := doc["id"].(string)
		if seen[id] {
			continue
		}
		seen[id] = true
		switch doc["schema"] {
		case "roomcall.stream/1.0":
			streams = append(streams, doc)
		case "roomcall.sample/1.0":
			s := &bookSample{value: map[string]float64{}, text: map[string]string{}}
			for k, v := range doc {
				switch v := v.(type) {
				case float64:
					s.value[k] = v
				case string:
					s.text[k] = v
				}
			}
			s.ms, s.call, s.answer, s.grade = int64(s.value["ts_ms"]), s.text["call_id"], s.value["poll_ok"] == 1, int64(s.value["grade_code"])
			place := s.text["client_id"] + "/" + s.text["device"]
			b.rooms[place] = append(b.rooms[place], s)
			if s.call == "" {
				continue
			}
			c := calls[s.call]
			if c == nil {
				c = &BookCall{ID: s.call, Client: s.text["client_id"], Device: s.text["device"], Name: s.text["room"]}
				if c.Name == "" {
					c.Name = c.Device
				}
				calls[s.call] = c
				b.Calls = append(b.Calls, c)
			}
			c.samples = append(c.samples, s)
		}
	}
	for _, doc := range streams {
		id, _ := doc["call_id"].(string)
		if c := calls[id]; c != nil && doc["media"] == "video" && doc["direction"] == "recv" {
			s := &bookStream{ms: int64(doc["ts_ms"].(float64)), index: int64(doc["stream"].(float64)), value: map[string]float64{}}
			s.peer, _ = doc["peer"].(string)
			for k, v := range doc {
				if f, ok := v.(float64); ok {
					s.value[k] = f
				}
			}
			c.streams = append(c.streams, s)
		}
	}
	for _, list := range b.rooms {
		slices.SortFunc(list, func(x, y *bookSample) int { return int(x.ms - y.ms) })
	}
	for _, c := range b.Calls {
		slices.SortFunc(c.samples, func(x, y *bookSample) int { return int(x.ms - y.ms) })
		slices.SortFunc(c.streams, func(x, y *bookStream) int { return int(x.ms - y.ms) })
		b.times(c)
		for _, s := range c.samples {
			if s.text["model"] != "" {
				c.Model = s.text["model"]
			}
			c.Sends = c.Sends || s.has("audio_send") || s.has("video_send") || s.has("aux_send")
		}
	}
	slices.SortFunc(b.Calls, func(x, y *BookCall) int {
		if x.Start != y.Start {
			return int(x.Start - y.Start)
		}
		return strings.Compare(x.ID, y.ID)
	})
	return b, nil
}

// times finds when a call began and ended: its id names the second of its start, and it
// ended with the first idle sample where that follows the last one of the call within two
// polls, otherwise with its last sample.
func (b *Book) times(c *BookCall) {
	c.Start, _ = strconv.ParseInt(c.ID[strings.LastIndexByte(c.ID, '.')+1:], 10, 64)
	c.End = c.last() / 1000
	room := b.rooms[c.Place()]
	i := slices.Index(room, c.samples[len(c.samples)-1]) + 1
	if i == len(room) {
		return
	}
	next := room[i]
	gap := int64(2000)
	if len(c.samples) > 1 {
		gap = max(gap, 2*(c.samples[1].ms-c.samples[0].ms))
	}
	if next.answer && next.call == "" && next.ms-c.last() <= gap {
		c.End = next.ms / 1000
	}
	for _, s := range room[i:] {
		c.Finished = c.Finished || s.answer
	}
}

// Call finds a call.
func (b *Book) Call(id string) *BookCall {
	for _, c := range b.Calls {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// value is a number that a document should have; known is false where it should be absent.
type value struct {
	known bool
	x     float64
}

// mean and most over the samples that have the key.
func mean(list []*bookSample, key string) (avg, most value) {
	n, sum := 0.0, 0.0
	for _, s := range list {
		if x, ok := s.value[key]; ok {
			if n == 0 || x > most.x {
				most = value{true, x}
			}
			n++
			sum += x
		}
	}
	if n > 0 {
		avg = value{true, sum / n}
	}
	return avg, most
}

// minute returns the samples of a call in a UTC minute.
func (c *BookCall) minute(ms int64) []*bookSample {
	var out []*bookSample
	for _, s := range c.samples {
		if s.ms >= ms && s.ms < ms+60_000 {
			out = append(out, s)
		}
	}
	return out
}

// minutes lists the UTC minutes, in Unix ms, of which a call has a sample.
func (c *BookCall) minutes() []int64 {
	var out []int64
	for _, s := range c.samples {
		if m := s.ms / 60_000 * 60_000; len(out) == 0 || out[len(out)-1] != m {
			out = append(out, m)
		}
	}
	return out
}

// perSecond makes a series of a key: of several values in one second the last one.
func perSecond(list []*bookSample, key string) []Point {
	var out []Point
	for _, s := range list {
		if x, ok := s.value[key]; ok {
			out = addPoint(out, s.ms, x)
		}
	}
	return out
}

func addPoint(list []Point, ms int64, x float64) []Point {
	if n := len(list); n > 0 && list[n-1].Ts == ms/1000 {
		list[n-1].Value = x
		return list
	}
	return append(list, Point{ms / 1000, x})
}

// peers makes the series of a key of each received stream.
func (c *BookCall) peers(key string, from, to int64) map[string][]Point {
	out := map[string][]Point{}
	for _, s := range c.streams {
		if x, ok := s.value[key]; ok && s.ms >= from && s.ms < to {
			k := fmt.Sprint(s.index + 1)
			out[k] = addPoint(out[k], s.ms, x)
			name := s.peer
			if name == "" {
				name = fmt.Sprintf("stream-%d", s.index)
			}
			out[name] = addPoint(out[name], s.ms, x)
		}
	}
	return out
}

// atOnce is the highest number of calls at one time in a minute, each from its first to
// its last sample.
func (b *Book) atOnce(ms int64) float64 {
	most := 0
	var instants []int64
	for _, c := range b.Calls {
		instants = append(instants, max(c.first(), ms))
	}
	for _, t := range instants {
		if t < ms || t >= ms+60_000 {
			continue
		}
		n := 0
		for _, c := range b.Calls {
			if c.first() <= t && c.last() >= t {
				n++
			}
		}
		most = max(most, n)
	}
	return float64(most)
}

// The poor limits of the profile "huawei", in percent and ms: loss, delay, jitter.
var huawei = map[string][3]float64{"audio": {10, 250, 50}, "video": {3, 250, 50}, "aux": {3, 250, 50}}

// factors by the place of what is measured, from Agora's table.
var factors = map[string]int64{
	"video_recv_delay": 8, "audio_recv_delay": 9, "video_send_loss": 21, "audio_send_loss": 22, "video_recv_loss": 23, "audio_recv_loss": 24,
	"video_send_delay": 42, "audio_send_delay": 43, "video_send_jitter": 44, "audio_send_jitter": 45, "video_recv_jitter": 46, "audio_recv_jitter": 47,
}

// poor lists what is beyond its poor limit in a sample.
func (s *bookSample) poor() (words []string) {
	for _, medium := range []string{"audio", "video", "aux"} {
		for metric, key := range []string{"loss_pct", "delay_ms", "jitter_ms"} {
			for _, way := range []string{"send", "recv"} {
				if x, ok := s.value[medium+"_"+way+"_"+key]; ok && x >= huawei[medium][metric] {
					word, _, _ := strings.Cut(key, "_")
					words = append(words, medium+"_"+way+"_"+word)
				}
			}
		}
	}
	return words
}

// diagnosis is what the minute of a call should say: its causes by the number of poor
// samples in which they were there, at most three; none = no row.
func (c *BookCall) diagnosis(ms int64) []int64 {
	count := map[int64]int{}
	list := c.minute(ms)
	for i, s := range list {
		if i+1 < len(list) && list[i+1].ms/1000 == s.ms/1000 {
			continue // a second counts once, with its last sample
		}
		for _, word := range s.poor() {
			count[factors[word]]++
		}
	}
	var order []int64
	for _, metric := range []string{"loss", "delay", "jitter"} {
		for _, group := range []string{"audio_send", "audio_recv", "video_send", "video_recv"} {
			if id := factors[group+"_"+metric]; count[id] > 0 {
				order = append(order, id)
			}
		}
	}
	slices.SortStableFunc(order, func(x, y int64) int { return count[y] - count[x] })
	return order[:min(len(order), 3)]
}

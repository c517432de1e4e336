package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/cgi/cgitest"
)

// mediaAction is the request for the values of a call.
const mediaAction = "WEB_GetMultiCallStatusInfoAPI"

// rooms are simulated endpoints on one address, all of them in an endless call; the
// first part of the path names the room. They note when each answer to the media
// request was sent. The count of lost packets in it is its number in this room, from 1:
// every program passes a count on.
type rooms struct {
	url    string
	mu     sync.Mutex
	all    map[string]*room
	paused bool // they answer nothing
}

type room struct {
	endpoint *cgitest.Endpoint
	asked    []time.Time // when media requests arrived
	answered []time.Time // when their answers were sent, zero before
}

func newRooms(tb testing.TB, n int) *rooms {
	tb.Helper()
	r := &rooms{all: map[string]*room{}}
	for i := range n {
		e, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting", Seed: int64(i + 1), Keep: 1})
		if err != nil {
			tb.Fatal(err)
		}
		r.all[roomName(i)] = &room{endpoint: e}
	}
	srv := httptest.NewServer(r)
	tb.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func roomName(i int) string { return fmt.Sprintf("room-%d", i+1) }

// devices are the rooms as the agent's configuration names them.
func (r *rooms) devices(interval string) (list []device) {
	for i := range len(r.all) {
		list = append(list, device{roomName(i), r.url + "/" + roomName(i), interval})
	}
	return list
}

func (r *rooms) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	came := time.Now()
	name, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	room := r.all[name]
	if room == nil {
		http.NotFound(w, req)
		return
	}
	media := req.URL.Query().Get("ActionID") == mediaAction
	r.mu.Lock()
	paused := r.paused
	if media && !paused {
		room.asked, room.answered = append(room.asked, came), append(room.answered, time.Time{})
	}
	num := len(room.asked)
	r.mu.Unlock()
	switch {
	case paused:
		http.Error(w, "paused", http.StatusServiceUnavailable)
	case media:
		room.endpoint.ServeHTTP(&numbered{ResponseWriter: w, num: num}, req)
		r.mu.Lock()
		room.answered[num-1] = time.Now()
		r.mu.Unlock()
		_ = http.NewResponseController(w).Flush() // it does not matter if the client is gone
	default:
		room.endpoint.ServeHTTP(w, req)
	}
}

// pause has no request answered from now on.
func (r *rooms) pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = true
}

// count is how many answers were given.
func (r *rooms) count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		for _, at := range one.answered {
			if !at.IsZero() {
				n++
			}
		}
	}
	return n
}

// lossCount is a count of lost packets in a reply.
var lossCount = regexp.MustCompile(`(LossNum\\*":)[0-9]+`)

// numbered puts the answer's number in place of the counts of lost packets.
type numbered struct {
	http.ResponseWriter
	num int
}

func (n *numbered) WriteHeader(int) {} // with the body, when its length is known

func (n *numbered) Write(body []byte) (int, error) {
	text := lossCount.ReplaceAll(body, fmt.Appendf(nil, "${1}%d", n.num))
	n.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, err := n.ResponseWriter.Write(text)
	return len(body), err
}

// answer returns when the answer was sent that led to a sample with this timestamp.
// The agent stamps a sample after it has read the answer, truncated to milliseconds.
func (r *rooms) answer(name string, stamp time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range slices.Backward(r.all[name].answered) {
		if !at.IsZero() && at.Before(stamp.Add(time.Millisecond)) {
			return at, true
		}
	}
	return time.Time{}, false
}

// arrival is a sample as the subscriber received it.
type arrival struct {
	device string
	stamp  time.Time // ts_ms
	at     time.Time
}

// subscribe passes every sample that arrives on filter to take, in order.
func subscribe(tb testing.TB, broker, filter string, take func(arrival)) {
	tb.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("audience").SetAutoReconnect(false)
	c := mqtt.NewClient(o)
	settle(tb, c.Connect())
	tb.Cleanup(func() { c.Disconnect(250) })
	settle(tb, c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) {
		now := time.Now()
		if !strings.HasSuffix(m.Topic(), "/sample") && !strings.HasSuffix(m.Topic(), "/state") || m.Retained() {
			return
		}
		var p struct {
			Device string
			TsMs   int64 `json:"ts_ms"`
		}
		if json.Unmarshal(m.Payload(), &p) == nil {
			take(arrival{p.Device, time.UnixMilli(p.TsMs), now})
		}
	}))
}

// settle waits for an MQTT token.
func settle(tb testing.TB, t mqtt.Token) {
	tb.Helper()
	if !t.WaitTimeout(patience) {
		tb.Fatal("the broker does not answer")
	}
	if t.Error() != nil {
		tb.Fatal(t.Error())
	}
}

// quantile returns the q-th quantile (0 to 1, nearest rank) in milliseconds.
func quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	i := min(int(q*float64(len(list))), len(list)-1)
	return float64(list[i]) / float64(time.Millisecond)
}

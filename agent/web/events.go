package web

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxListeners bounds the readers of /api/v1/events.
	maxListeners = 16
	// listenerQueue is how many messages a slow reader may be behind before it
	// misses some.
	listenerQueue = 256
	// aliveEvery is how often a reader hears that the agent is there.
	aliveEvery = 5 * time.Second
)

// listener is a reader of /api/v1/events.
type listener struct {
	device string // "" = all
	queue  chan string
	missed atomic.Uint64 // messages that its queue had no room for
}

// told are the kinds of records that listeners get. None has names of people.
var told = map[string]bool{"sample": true, "event": true, "call": true}

// tell hands a record to the listeners; it waits for none of them. Under mu.
func (h *History) tell(device, kind string, payload []byte) {
	if len(h.listeners) == 0 || !told[kind] {
		return
	}
	message := fmt.Sprintf("event: %s\ndata: %s\n\n", kind, payload)
	for l := range h.listeners {
		if l.device != "" && l.device != device {
			continue
		}
		select {
		case l.queue <- message:
		default:
			l.missed.Add(1)
		}
	}
}

// listen adds a listener; nil = there are too many.
func (h *History) listen(device string) *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) >= maxListeners {
		return nil
	}
	l := &listener{device: device, queue: make(chan string, listenerQueue)}
	h.listeners[l] = true
	return l
}

func (h *History) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
}

// events streams what happens as server-sent events: the records of the devices as
// they are made, "alive" every few seconds, and "missed" with the number of messages
// that a slow reader did not get.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	q, ok := h.query(w, r, "device")
	if !ok {
		return
	}
	l := h.history.listen(q.Device)
	if l == nil {
		w.Header().Set("Retry-After", "5")
		fail(w, r, http.StatusTooManyRequests, fmt.Sprintf("%d others listen already", maxListeners), "close other status pages of this agent")
		return
	}
	defer h.history.leave(l)
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{}) // the request has been read; the answer does not end
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for message := "retry: 1000\n\n" + h.alive(); ; {
		if n := l.missed.Swap(0); n > 0 {
			message += fmt.Sprintf("event: missed\ndata: {\"count\":%d}\n\n", n)
		}
		rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := io.WriteString(w, message); err != nil || rc.Flush() != nil {
			return
		}
		select {
		case message = <-l.queue:
		case <-alive.C:
			message = h.alive()
		case <-r.Context().Done():
			return
		case <-h.stopping:
			return
		}
	}
}

func (h *handler) alive() string {
	return fmt.Sprintf("event: alive\ndata: {\"ts_ms\":%d}\n\n", h.now().UnixMilli())
}

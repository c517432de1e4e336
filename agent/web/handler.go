package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"roomcall/agent/health"
)

// handler answers the paths of the package comment.
type handler struct {
	src Source
	now func() time.Time
	// heavy holds the right to read the whole store; one reader at a time.
	heavy chan struct{}
}

func newHandler(src Source, o Options) http.Handler {
	h := &handler{src: src, now: o.Now, heavy: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", h.page)
	mux.HandleFunc("/healthz", h.healthz)
	mux.HandleFunc("/readyz", h.readyz)
	mux.HandleFunc("/metrics", h.metrics)
	mux.HandleFunc("/api/v1/status", h.status)
	mux.HandleFunc("/api/v1/samples", h.samples)
	mux.HandleFunc("/api/v1/buffer", h.buffer)
	mux.HandleFunc("/api/v1/buffer/export", h.export)
	mux.HandleFunc("/api/v1/buffer/verify", h.verify)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, http.StatusNotFound, "there is nothing at this path", "")
	})
	return mux
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

func (h *handler) readyz(w http.ResponseWriter, _ *http.Request) {
	why := health.Unready(h.src.Status(), h.now())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if len(why) == 0 {
		fmt.Fprintln(w, "ready")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, line := range why {
		fmt.Fprintln(w, strings.Join(strings.Fields(line), " "))
	}
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	s := h.src.Status()
	s.Problems = health.Problems(s, h.now())
	b, err := s.JSON()
	if err != nil {
		fail(w, r, http.StatusInternalServerError, "encode status: "+err.Error(), "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}

func (h *handler) samples(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery, h.now(), "device", "since")
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error(), queryHint)
		return
	}
	if q.Device != "" && !knows(h.src.Status(), q.Device) {
		fail(w, r, http.StatusNotFound, "there is no device "+q.Device, "/api/v1/status lists the devices")
		return
	}
	answer := struct {
		Device  string            `json:"device,omitempty"`
		Since   time.Time         `json:"since,omitzero"`
		Count   int               `json:"count"`
		Samples []json.RawMessage `json:"samples"`
	}{Device: q.Device, Since: q.Since.UTC(), Samples: []json.RawMessage{}}
	answer.Samples = append(answer.Samples, h.src.Samples(q.Device, q.Since, MaxSamples)...)
	answer.Count = len(answer.Samples)
	writeJSON(w, r, answer)
}

func knows(s health.Status, device string) bool {
	for _, e := range s.Endpoints {
		if e.Device == device {
			return true
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(w, r, http.StatusInternalServerError, "encode answer: "+err.Error(), "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(b, '\n'))
}

// fail answers with an error: JSON below /api/, else plain text.
func fail(w http.ResponseWriter, r *http.Request, code int, what, hint string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(struct {
			Error string `json:"error"`
			Hint  string `json:"hint,omitempty"`
		}{what, hint})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, what)
	if hint != "" {
		fmt.Fprintln(w, "hint:", hint)
	}
}

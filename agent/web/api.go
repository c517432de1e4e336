package web

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
)

// handler answers the paths of the package comment.
type handler struct {
	src      Source
	now      func() time.Time
	maxBytes int64 // see Options
	key      string
	language string
	history  *History
	stopping <-chan struct{} // closed when the server ends
	// heavy is full while somebody reads the whole store: one reader at a time.
	heavy chan struct{}
}

func newHandler(src Source, o Options) http.Handler {
	h := &handler{
		src: src, now: o.Now, maxBytes: o.MaxBytes, key: o.Key, language: o.Language, history: o.History, stopping: o.stopping,
		heavy: make(chan struct{}, 1),
	}
	if h.history == nil {
		h.history = NewHistory(nil)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", h.page)
	mux.HandleFunc("/assets/", asset)
	mux.HandleFunc("/healthz", h.healthz)
	mux.HandleFunc("/readyz", h.readyz)
	mux.HandleFunc("/metrics", h.metrics)
	mux.HandleFunc("/api/v1/status", h.status)
	mux.HandleFunc("/api/v1/samples", h.samples)
	mux.HandleFunc("/api/v1/history", h.showHistory)
	mux.HandleFunc("/api/v1/events", h.events)
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
	s.Problems = health.English.Problems(s, h.now())
	b, err := s.JSON()
	reply(w, r, b, err)
}

// query reads the allowed parameters, or answers what is wrong with them. A device has
// to be one of the agent's.
func (h *handler) query(w http.ResponseWriter, r *http.Request, allowed ...string) (f Filter, ok bool) {
	f, err := parseQuery(r.URL.RawQuery, h.now(), allowed...)
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error(), queryHint)
		return f, false
	}
	known := func(e health.Endpoint) bool { return e.Device == f.Device }
	if f.Device != "" && !slices.ContainsFunc(h.src.Status().Endpoints, known) {
		fail(w, r, http.StatusNotFound, "there is no device "+f.Device, "/api/v1/status lists the devices")
		return f, false
	}
	return f, true
}

func (h *handler) samples(w http.ResponseWriter, r *http.Request) {
	q, ok := h.query(w, r, "device", "since")
	if !ok {
		return
	}
	answer := struct {
		Device   string            `json:"device,omitempty"`
		Since    time.Time         `json:"since,omitzero"`
		Count    int               `json:"count"`
		Cut      bool              `json:"cut"` // there were more samples since then, which are not kept here
		OldestMs int64             `json:"oldest_ms,omitempty"`
		Samples  []json.RawMessage `json:"samples"`
	}{Device: q.Device, Since: q.Since.UTC(), Samples: []json.RawMessage{}}
	list, cut := h.src.Samples(q.Device, q.Since, MaxSamples)
	answer.Samples = append(answer.Samples, list...)
	answer.Count, answer.Cut = len(list), cut
	if len(list) > 0 {
		answer.OldestMs = int64(measurements(list[0])["ts_ms"])
	}
	b, err := json.Marshal(answer)
	reply(w, r, b, err)
}

// showHistory answers what the page draws of a device.
func (h *handler) showHistory(w http.ResponseWriter, r *http.Request) {
	q, ok := h.query(w, r, "device", "since")
	if !ok {
		return
	}
	if h.history.rooms[q.Device] == nil {
		fail(w, r, http.StatusBadRequest, "parameter device is missing", "/api/v1/status lists the devices")
		return
	}
	s := h.src.Status()
	i := slices.IndexFunc(s.Endpoints, func(e health.Endpoint) bool { return e.Device == q.Device })
	b, err := h.history.answer(q.Device, s.Limits[s.Endpoints[i].Limits], q.Since, h.now())
	reply(w, r, b, err)
}

// reply answers with one JSON document and a newline.
func reply(w http.ResponseWriter, r *http.Request, b []byte, err error) {
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error(), "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(bytes.TrimRight(b, "\n"), '\n'))
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

func (h *handler) buffer(w http.ResponseWriter, r *http.Request) {
	b, err := h.src.Buffer(r.Context())
	reply(w, r, b, err)
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) {
	if !h.begin(w, r) {
		return
	}
	defer h.end()
	patience := Patience(r.URL.Path, h.maxBytes)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	b, err := h.src.Verify(ctx)
	reply(w, r, b, err)
}

// export streams records. An error in the middle cuts the connection, so that
// a reader never mistakes half an export for a whole one.
func (h *handler) export(w http.ResponseWriter, r *http.Request) {
	f, err := parseQuery(r.URL.RawQuery, h.now(), "device", "since", "until", "delivered")
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error(), queryHint)
		return
	}
	if !h.hasKey(w, r) || !h.begin(w, r) {
		return
	}
	defer h.end()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &stream{w: w, rc: http.NewResponseController(w)}
	switch err := h.src.Export(r.Context(), out, f); {
	case err == nil:
	case !out.begun:
		fail(w, r, http.StatusServiceUnavailable, "export records: "+err.Error(), "")
	default:
		panic(http.ErrAbortHandler)
	}
}

// signatureAge is how long a signature holds.
const signatureAge = time.Minute

// signature shows that a request comes from somebody who has the key, and does not show
// the key: another program may hold the agent's address.
func signature(key, uri string, at time.Time) string {
	when := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(when + " " + uri))
	return "Signature " + when + " " + hex.EncodeToString(mac.Sum(nil))
}

// hasKey reports whether the request is signed with the key of Options, or answers 403:
// records may have names of people.
func (h *handler) hasKey(w http.ResponseWriter, r *http.Request) bool {
	given := r.Header.Get("Authorization")
	if _, when, ok := strings.Cut(given, " "); ok && h.key != "" {
		when, _, _ = strings.Cut(when, " ")
		s, _ := strconv.ParseInt(when, 10, 64)
		at := time.Unix(s, 0)
		if h.now().Sub(at).Abs() <= signatureAge && hmac.Equal([]byte(given), []byte(signature(h.key, r.URL.RequestURI(), at))) {
			return true
		}
	}
	fail(w, r, http.StatusForbidden, "records may have names of people: only the user that the agent runs as, root and administrators may read them",
		"run the command as one of these, for example with sudo")
	return false
}

// begin starts to read the whole store, or answers 429 because somebody else does.
func (h *handler) begin(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodHead {
		return false
	}
	select {
	case h.heavy <- struct{}{}:
		return true
	default:
		w.Header().Set("Retry-After", "5")
		fail(w, r, http.StatusTooManyRequests, "another export or check is running", "try again in some seconds")
		return false
	}
}

func (h *handler) end() { <-h.heavy }

// stream moves the write deadline along with the progress: a slow reader is waited
// for, a stuck one is cut off.
type stream struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	begun bool
}

func (s *stream) Write(p []byte) (int, error) {
	s.begun = true
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return s.w.Write(p)
}

// maxQuery bounds a query string, in bytes.
const maxQuery = 512

const queryHint = "times are RFC 3339 (2026-01-31T12:00:00Z), an age such as 10m, or a record's ts_ms"

// parseQuery reads the allowed parameters of raw. An unknown or repeated
// parameter is an error, so that a typing error never widens an answer.
func parseQuery(raw string, now time.Time, allowed ...string) (Filter, error) {
	var f Filter
	if len(raw) > maxQuery {
		return f, fmt.Errorf("the query is longer than %d bytes", maxQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return f, errors.New("the query cannot be read")
	}
	for key, v := range values {
		if !slices.Contains(allowed, key) {
			return f, fmt.Errorf("unknown parameter %q; allowed: %s", key, strings.Join(allowed, ", "))
		}
		if len(v) != 1 {
			return f, fmt.Errorf("parameter %s is there %d times", key, len(v))
		}
		if err := f.set(key, v[0], now); err != nil {
			return f, fmt.Errorf("parameter %s: %w", key, err)
		}
	}
	return f, nil
}

func (f *Filter) set(key, v string, now time.Time) (err error) {
	if v == "" {
		return nil
	}
	switch key {
	case "device":
		if !config.IsID(v) {
			return errors.New("a device name has 1 to 63 of a-z, 0-9 and -")
		}
		f.Device = v
	case "since":
		f.Since, err = ParseTime(v, now)
	case "until":
		f.Until, err = ParseTime(v, now)
	case "delivered":
		if v != "0" && v != "1" {
			return errors.New("0 or 1 is allowed")
		}
		f.Delivered = v == "1"
	}
	return err
}

// msDigits is how long a Unix time in milliseconds is, from 2001 to 2286. A
// number of another length is refused: it could be seconds.
const msDigits = 13

// ParseTime reads an RFC 3339 time, an age before now such as "90s", or Unix
// milliseconds as in a record's ts_ms.
func ParseTime(v string, now time.Time) (time.Time, error) {
	if ms, err := strconv.ParseUint(v, 10, 63); err == nil && len(v) == msDigits {
		return time.UnixMilli(int64(ms)).UTC(), nil
	}
	if age, err := time.ParseDuration(v); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	// A plus sign in a query that was not escaped arrives as a space.
	t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(v, " ", "+"))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time", v)
	}
	return t, nil
}

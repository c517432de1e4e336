package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// verifyTimeout bounds a check of the store's files.
const verifyTimeout = 5 * time.Minute

func (h *handler) buffer(w http.ResponseWriter, r *http.Request) {
	b, err := h.src.Buffer(r.Context())
	h.object(w, r, b, err)
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) {
	if !h.begin(w, r) {
		return
	}
	defer h.end()
	ctx, cancel := context.WithTimeout(r.Context(), verifyTimeout)
	defer cancel()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(verifyTimeout + writeTimeout))
	b, err := h.src.Verify(ctx)
	h.object(w, r, b, err)
}

func (h *handler) object(w http.ResponseWriter, r *http.Request, b json.RawMessage, err error) {
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error(), "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(b[:len(b):len(b)], '\n'))
}

// export streams records. An error in the middle cuts the connection, so that
// a reader never takes half an export for a whole one.
func (h *handler) export(w http.ResponseWriter, r *http.Request) {
	f, err := parseQuery(r.URL.RawQuery, h.now(), "device", "since", "until", "delivered")
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error(), queryHint)
		return
	}
	if !h.begin(w, r) {
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

// begin takes the right to read the whole store, or answers 429.
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

// stream moves the write deadline along with the progress: a slow reader may
// take its time, a stuck one is cut.
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

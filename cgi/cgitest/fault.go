package cgitest

import (
	"bytes"
	"cmp"
	"net"
	"net/http"
	"strconv"
	"time"
)

// FaultKind is a way to answer wrongly.
type FaultKind string

// The faults. Each is what a broken or overloaded endpoint, or something in
// between, was seen to do.
const (
	FaultNone      FaultKind = ""
	FaultHang      FaultKind = "hang"       // accepts the request, never answers
	FaultCutBody   FaultKind = "cut-body"   // announces a body, sends half, closes
	FaultHugeBody  FaultKind = "huge-body"  // 64 MiB of blanks
	FaultStatus    FaultKind = "status"     // an HTTP status (Fault.Status, 500 if 0) with a short page
	FaultRedirect  FaultKind = "redirect"   // 302 to Fault.Location
	FaultBadHeader FaultKind = "bad-header" // a line that is not a header
	FaultGarbage   FaultKind = "garbage"    // bytes that are no JSON
	FaultSlow      FaultKind = "slow"       // the right answer, a byte each Fault.Delay
	FaultReset     FaultKind = "reset"      // the connection is reset
	FaultRaw       FaultKind = "raw"        // Fault.Body as it is
)

// HugeBody is the size of the body of FaultHugeBody in bytes.
const HugeBody = 64 << 20

// Fault says which requests are answered wrongly, and how.
type Fault struct {
	Kind   FaultKind
	Action string // only this action; "" = all
	Times  int    // so many requests; 0 = until the fault is changed

	Status   int           // FaultStatus
	Location string        // FaultRedirect
	Delay    time.Duration // FaultSlow, 10 ms if 0
	Body     []byte        // FaultRaw
	Header   http.Header   // added to the reply
}

// FaultKinds lists the faults.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultHang, FaultCutBody, FaultHugeBody, FaultStatus, FaultRedirect, FaultBadHeader,
		FaultGarbage, FaultSlow, FaultReset, FaultRaw,
	}
}

// takeFault returns the fault of this request and counts it.
func (e *Endpoint) takeFault(action string) Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.fault
	if f.Kind == FaultNone || f.Action != "" && f.Action != action {
		return Fault{}
	}
	if f.Times > 0 {
		if e.fault.Times--; e.fault.Times == 0 {
			e.fault = Fault{}
		}
	}
	return f
}

// misbehave answers as the fault says. Fault kinds that need the right answer
// get it as body.
func (f Fault) misbehave(w http.ResponseWriter, r *http.Request, body []byte) {
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	switch f.Kind {
	case FaultHang:
		<-r.Context().Done()
	case FaultCutBody:
		raw(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4096\r\n\r\n{\"success\":1,\"data\":\"{")
	case FaultHugeBody:
		huge(w, r)
	case FaultStatus:
		w.WriteHeader(cmp.Or(f.Status, http.StatusInternalServerError))
		_, _ = w.Write([]byte("<html>error</html>"))
	case FaultRedirect:
		http.Redirect(w, r, f.Location, http.StatusFound)
	case FaultBadHeader:
		raw(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nthis is no header line\r\nContent-Length: 2\r\n\r\n{}")
	case FaultGarbage:
		_, _ = w.Write([]byte("\x00\x01<<<not json>>>\xff\xfe"))
	case FaultSlow:
		slow(w, r, body, f.Delay)
	case FaultReset:
		reset(w)
	case FaultRaw:
		_, _ = w.Write(f.Body)
	}
}

func huge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(HugeBody))
	chunk := bytes.Repeat([]byte(" "), 64<<10)
	for sent := 0; sent < HugeBody && r.Context().Err() == nil; sent += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func slow(w http.ResponseWriter, r *http.Request, body []byte, delay time.Duration) {
	if delay <= 0 {
		delay = 10 * time.Millisecond
	}
	tick := time.NewTicker(delay)
	defer tick.Stop()
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// raw writes bytes that net/http would not, and closes.
func raw(w http.ResponseWriter, s string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(s))
	_ = conn.Close()
}

// reset ends the TCP connection with RST, below TLS.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}

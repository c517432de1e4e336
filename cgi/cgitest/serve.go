package cgitest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRequest bounds the body of a request in bytes.
const maxRequest = 64 << 10

// request is what matters of an HTTP request.
type request struct {
	action  string
	id      string // session id, from where the family reads it
	browser bool   // the headers of the endpoint's own web page are there
	body    struct {
		User, Password string
		Token          string `json:"acCSRFToken"`
	}
	now time.Time
}

// reply is a right answer.
type reply struct {
	status int
	cookie string // a new session id for Set-Cookie
	body   []byte
}

// ServeHTTP answers POST /action.cgi?ActionID=NAME.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/action.cgi") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "simulated endpoint: POST /action.cgi?ActionID=...\n")
		return
	}
	if e.family.redirectHTTP && r.TLS == nil {
		http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusFound)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
		return
	}
	if r.ContentLength < 0 { // no endpoint is known to accept a body in chunks
		http.Error(w, "only with a length", http.StatusLengthRequired)
		return
	}
	req := e.read(r, body)
	answer, snap := e.answer(req)
	fault := e.takeFault(req.action)
	switch {
	case snap.Call == Rebooting:
		reset(w)
	case fault.Kind == FaultSlow || fault.Kind == FaultNone:
		e.header(w, answer)
		if fault.Kind == FaultSlow {
			fault.misbehave(w, r, answer.body)
			return
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body)
	default:
		fault.misbehave(w, r, answer.body)
	}
}

// header sets the headers that the vendor's pages show.
func (e *Endpoint) header(w http.ResponseWriter, answer reply) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(answer.body)))
	h.Set("Cache-Control", "no-cache")
	if strings.Contains(string(answer.body), `"success":1`) {
		h.Set("Response-Result", "1")
	}
	if answer.cookie != "" {
		h.Set("Set-Cookie", "SessionID="+answer.cookie+"; Path=/; Secure; HttpOnly")
	}
}

// read parses a request. The action name ends at a second question mark,
// with which some clients add their cache-buster.
func (e *Endpoint) read(r *http.Request, body []byte) request {
	req := request{now: e.opts.Now()}
	req.action, _, _ = strings.Cut(r.URL.Query().Get("ActionID"), "?")
	if e.family.idByHeader {
		req.id = r.Header.Get("Sessionid")
	} else if c, err := r.Cookie("SessionID"); err == nil {
		req.id = c.Value
	}
	req.browser = r.Header.Get("userType") == "web" && r.Header.Get("X-Requested-With") == "XMLHttpRequest" &&
		r.Header.Get("Origin") != "" && strings.HasSuffix(r.Header.Get("Referer"), "/login.html")
	if json.Unmarshal(body, &req.body) != nil {
		req.body.User = ""
	}
	return req
}

// answer returns the right answer and what the endpoint was doing.
func (e *Endpoint) answer(req request) (reply, Snapshot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	snap := e.play(req.now)
	e.sessions.expire(req.now, e.opts.Expiry)
	if e.boots != e.world.boots { // a reboot since the last request, seen or not
		e.boots = e.world.boots
		clear(e.sessions.byID)
	}
	if turn := snap.Second / sharedEvery; e.world.script.login == "shared" && turn != e.turn {
		e.turn = turn
		clear(e.sessions.byID)
	}
	out, isLogin := e.login(req, snap)
	if !isLogin {
		out = e.status(req, snap)
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	e.record(Served{Time: req.now, Action: req.action, Status: out.status, Body: out.body, Snapshot: snap})
	return out, snap
}

// status answers the reading actions.
func (e *Endpoint) status(req request, snap Snapshot) reply {
	one := e.sessions.byID[req.id]
	if e.wantsLogin() && (one == nil || !one.loggedIn || e.family.token && req.body.Token != one.token) {
		return e.lost()
	}
	switch req.action {
	case "WEB_GetMailboxDataAPI":
		if one != nil {
			one.seen = req.now
		}
		return reply{body: e.family.success(newMailbox(snap))}
	case "WEB_GetMultiCallStatusInfoAPI":
		return e.multiCall(snap)
	case "WEB_GetCallStatusInfoAPI":
		if e.world.script.refused {
			return reply{body: e.family.failure(failGeneric)}
		}
		if snap.Call != InCall {
			return reply{body: e.family.failure(failNotInConf)}
		}
		return reply{body: e.family.success(newSingleCall(snap))}
	default:
		return reply{body: e.family.failure(failGeneric)}
	}
}

// wantsLogin: an account is set, or the scenario is about the login.
func (e *Endpoint) wantsLogin() bool {
	login := e.world.script.login
	return e.opts.Username != "" || login != "" && login != "person" && login != "shared"
}

// sharedEvery is how often somebody else logs in with the same account, in seconds.
const sharedEvery = 25

// multiCall answers WEB_GetMultiCallStatusInfoAPI. What an endpoint says
// outside a multi-stream call is not documented; the families differ, so that
// a client meets each of the three likely shapes.
func (e *Endpoint) multiCall(snap Snapshot) reply {
	if e.world.script.refused {
		return reply{body: e.family.failure(failGeneric)}
	}
	if snap.Call == InCall && e.world.script.rawNames {
		return reply{body: e.family.rawCall(snap)}
	}
	if snap.Call == InCall && e.family.multi && !snap.Single {
		return reply{body: e.family.success(newMultiCall(snap))}
	}
	switch {
	case snap.Call == Upgrading:
		return reply{body: e.family.failure(failGeneric)}
	case e.family.idleReply == "placeholders":
		return reply{body: e.family.success(newMultiCall(Snapshot{}))}
	case e.family.idleReply == "empty":
		return reply{body: e.family.success("")}
	default:
		return reply{body: e.family.failure(failNotInConf)}
	}
}

// lost is the answer to a request without a valid session.
func (e *Endpoint) lost() reply {
	out := reply{body: e.family.failure(failGeneric)}
	switch e.family.expired {
	case Expired401:
		out.status = http.StatusUnauthorized
	case Expired403:
		out.status = http.StatusForbidden
	}
	return out
}

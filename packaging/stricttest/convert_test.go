package stricttest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomcall/agent/cli"
)

var (
	written = flag.String("write", "", "write the day's records into this file")
	live    = flag.String("live", "", "file with topic, tab, payload on each line: what a running agent published")
)

// day is the day and its book.
func day(t testing.TB) (*Published, *Book) {
	t.Helper()
	p, err := Day()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Read(p.Records)
	if err != nil {
		t.Fatal(err)
	}
	return p, b
}

func TestTheDayIsAsItWasScripted(t *testing.T) {
	p, b := day(t)
	if *written != "" {
		if err := os.WriteFile(*written, p.Records, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.Calls) != 40 {
		t.Errorf("%d calls were published, the script has 40", len(b.Calls))
	}
	for _, r := range Rooms() {
		for _, c := range r.calls {
			found := false
			for _, got := range b.Calls {
				begin, end := got.Start-c.from.Unix(), got.End-min(c.to.Unix(), DayEnd.Unix())
				found = found || got.Place() == r.Place() && begin >= -1 && begin <= 60 && (end >= -300 && end <= 60)
			}
			if !found {
				t.Errorf("%s: the call of %s to %s was not published", r.Place(), stamp(c.from.Unix()), stamp(c.to.Unix()))
			}
		}
	}
}

// convert asks the command.
type convert struct {
	t    *testing.T
	all  []byte            // all records but streams, which only questions about one call need
	file string            // with these
	of   map[string]string // files with the records of one call
}

func newConvert(t *testing.T, p *Published, b *Book) *convert {
	dir := t.TempDir()
	c := &convert{t, nil, filepath.Join(dir, "day.jsonl"), map[string]string{}}
	for line := range bytes.Lines(p.Records) {
		if !bytes.Contains(line, []byte(`"roomcall.stream/`)) {
			c.all = append(c.all, line...)
		}
	}
	write := func(path string, lines []byte) {
		if err := os.WriteFile(path, lines, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(c.file, c.all)
	byCall := map[string]*bytes.Buffer{}
	for _, call := range b.Calls {
		byCall[call.ID] = &bytes.Buffer{}
	}
	for line := range bytes.Lines(p.Records) {
		if _, rest, ok := bytes.Cut(line, []byte(`"call_id":"`)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			if w := byCall[string(id)]; w != nil {
				w.Write(line)
			}
		}
	}
	for id, lines := range byCall {
		c.of[id] = filepath.Join(dir, strings.ReplaceAll(id, "/", "_")+".jsonl")
		write(c.of[id], lines.Bytes())
	}
	return c
}

// run runs `roomcall convert`; one call is asked for of a file with its records, as
// `grep CALL day.jsonl` gives it, because that is fast.
func (c *convert) run(to, call string, args ...string) ([]byte, error) {
	file := c.file
	if call != "" {
		file = c.of[call]
		args = append(args, "--call", call)
	}
	var out, errs bytes.Buffer
	code := cli.Main(context.Background(), "test", append(append([]string{"convert", "--to", to}, args...), file), &out, &errs, func(string) string { return "" })
	if code != 0 {
		return nil, fmt.Errorf("convert %s: exit code %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.Bytes(), nil
}

func (c *convert) Zoom(v url.Values) ([]byte, error) {
	return c.run("zoom", v.Get("uuid"), "--part", v.Get("type"), "--device", v.Get("user_id"))
}

func (c *convert) Agora(path string, v url.Values) ([]byte, error) {
	part := map[string]string{"/beta/analytics/call/lists": "lists", "/beta/analytics/call/details": "details", "/beta/live/scale/by_time": "scale", "/beta/live/net/by_time": "net",
		"/beta/live/experience/by_time": "experience", "/beta/live/diagnosis": "diagnosis", "/beta/insight/usage/by_time": "usage"}[path]
	args := []string{"--part", part, "--since", rfc(v.Get("start_ts"), ""), "--until", rfc(v.Get("end_ts"), ".999")}
	if part == "details" {
		args = append(args, "--include-approximate")
	}
	if from, to := number(v.Get("start_ts")), number(v.Get("end_ts")); to-from < 3600 && strings.HasPrefix(path, "/beta/live/") {
		defer c.only(from-7200, to+7200)()
	}
	for name, flag := range map[string]string{"metric": "--metric", "cname": "--room"} {
		if v.Get(name) != "" {
			args = append(args, flag, v.Get(name))
		}
	}
	if v.Get("exclude_metrics_info") == "true" {
		args = append(args, "--exclude-metrics")
	}
	return c.run("agora", v.Get("call_id"), args...)
}

// only makes the file one of the records between two times, as a user keeps a file an hour;
// it returns what undoes that.
func (c *convert) only(from, to int64) func() {
	var lines []byte
	for line := range bytes.Lines(c.all) {
		_, rest, _ := bytes.Cut(line, []byte(`"ts_ms":`))
		if s := number(string(rest[:10])); s >= from && s <= to {
			lines = append(lines, line...)
		}
	}
	all := c.file
	c.file = filepath.Join(c.t.TempDir(), "hours.jsonl")
	if err := os.WriteFile(c.file, lines, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return func() { c.file = all }
}

// number reads a number; the checks ask with nothing else.
func number(text string) (n int64) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

// rfc writes Unix seconds as RFC 3339.
func rfc(seconds, fraction string) string {
	return timeOf(number(seconds)).Format("2006-01-02T15:04:05") + fraction + "Z"
}

func (c *convert) Volc(q VolcQuestion) ([]byte, error) {
	start, end := q.StartTime, q.EndTime
	zone := start[len(start)-6:]
	args := []string{"--since", start, "--until", strings.Replace(justBefore(end), "Z", "+00:00", 1), "--metric", strings.Join(q.Indicator, ","), "--granularity", q.Granularity, "--timezone=" + zone}
	if q.RoomID != "" {
		args = append(args, "--room", q.RoomID)
		for _, u := range q.UserID {
			args = append(args, "--device", u)
		}
	}
	return c.run("volc", "", args...)
}

func (c *convert) TRTC(q TRTCQuestion) ([]byte, error) {
	args := []string{"--since", rfc(fmt.Sprint(q.StartTime), ""), "--until", rfc(fmt.Sprint(q.EndTime), ".999")}
	for _, u := range q.UserIDs {
		args = append(args, "--device", u)
	}
	switch {
	case len(q.DataType) == 0:
		args = append(args, "--metric", "none")
	case q.DataType[0] != "all":
		args = append(args, "--metric", strings.Join(q.DataType, ","))
	}
	if q.PageNumber != "" {
		args = append(args, "--page", q.PageNumber, "--limit", q.PageSize)
	}
	return c.run("trtc", q.CommID, args...)
}

func TestStrictClientsReadConvert(t *testing.T) {
	p, b := day(t)
	var only []string
	if raceDetector { // the other parts read the whole day each time; make interop and make unit run them
		only = []string{"agora_details", "zoom", "trtc"}
		t.Logf("with the race detector, which takes minutes for the rest: only %v", only)
	}
	Check(t, newConvert(t, p, b), b, only...)
}

// TestStrictClientsReadTheLiveViews reads each message of the day's agents as a client of
// its part, and finds one for each minute of each call.
func TestStrictClientsReadTheLiveViews(t *testing.T) {
	p, b := day(t)
	CheckViews(t, p, b)
}

// TestStrictClientsReadARunningAgent reads what a running agent published (-live FILE,
// `make interop`).
func TestStrictClientsReadARunningAgent(t *testing.T) {
	if *live == "" {
		t.Skip("NOT RUN: no -live FILE; `make interop` gives the messages of a running agent")
	}
	text, err := os.ReadFile(*live)
	if err != nil {
		t.Fatal(err)
	}
	p := &Published{}
	lines := strings.Split(string(text), "\n")
	for _, l := range lines[:len(lines)-1] { // the last line may be half written
		topic, message, ok := strings.Cut(l, "\t")
		_, kind, isView := strings.Cut(topic, "/view/")
		switch {
		case !ok || !strings.HasPrefix(message, "{") || strings.HasSuffix(topic, "/state") || strings.HasSuffix(topic, "/echo"):
		case isView:
			p.Kinds, p.Views = append(p.Kinds, "view/"+kind), append(p.Views, []byte(message))
		default:
			p.Records = append(append(p.Records, message...), '\n')
		}
	}
	if len(p.Views) == 0 {
		t.Fatal(errors.New("the running agent published no view"))
	}
	seen := ReadViews(t, p)
	for _, part := range []string{"zoom live", "agora details", "agora lists", "agora scale", "trtc detail"} {
		if seen[part] == 0 {
			t.Errorf("the running agent published no %s", part)
		}
	}
	t.Logf("%d messages: %v", len(p.Views), seen)
}

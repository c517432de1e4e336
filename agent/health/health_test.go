package health_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

var noon = healthtest.Noon

func TestStepOfTheWallClockDoesNotMakeAnEndpointLate(t *testing.T) {
	now := time.Now()
	s := healthtest.Well()
	s.Endpoints[0].LastPoll = now.Add(-time.Second)
	if why := health.Unready(s, now); len(why) > 0 {
		t.Errorf("not ready: %v", why)
	}
}

func TestProblemsInPlainWordsTheWorstFirst(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*health.Status)
		want   string
		bad    bool
	}{
		"acknowledged, not delivered": {func(s *health.Status) { s.Broker.Proof, s.Broker.ProofSince = "failed", noon.Add(-8*time.Minute) }, "acknowledges records but does not deliver them, since 11:52", true},
		"two agents with one client id, between two connections": {func(s *health.Status) {
			s.Broker.State, s.Broker.Error, s.Broker.SameIDSince = "waiting", "EOF", noon.Add(-5*time.Minute)
		}, "ends each connection of this agent soon after it begins, since 11:55", true},
		"two agents with one client id, during a connection": {func(s *health.Status) { s.Broker.SameIDSince = noon.Add(-5 * time.Minute) },
			"ends each connection of this agent soon after it begins, since 11:55", true},
		"a full disk, and the store has space": {func(s *health.Status) {
			free := int64(health.SpaceMin - 1)
			s.Buffer.DiskFree = &free
		}, "is almost full, 1024 KiB free: when it is full, only what is delivered", true},
		"a disk with a little space": {func(s *health.Status) {
			free := int64(health.SpaceMin)
			s.Buffer.DiskFree = &free
		}, "", false},
		"endpoint's clock": {func(s *health.Status) {
			s.Endpoints[0].ClockAheadS, s.Endpoints[0].ClockSince = -28800, noon.Add(-time.Hour)
		}, "is wrong, since 11:00: 8 h behind", false},
		"refused reload": {func(s *health.Status) {
			s.Refused = &health.RefusedReload{At: noon.Add(-time.Minute), Error: "agent.toml:9: unknown key"}
		}, "The last reload, at 11:59, was refused", false},
		"no right to read echo": {func(s *health.Status) { s.Broker.Proof = "unproven" }, "Delivery is not proven", false},
		"poll loop stuck":       {func(s *health.Status) { s.Endpoints[0].LastPoll = noon.Add(-time.Hour) }, "the last poll was 1 h ago", true},
		"missed polls": {func(s *health.Status) {
			s.Buffer.Missed = []health.Missed{{Device: "room-1", Reason: "store_failing", Count: 162, Last: noon.Add(-time.Minute)}}
		}, "Polls that could not be recorded: 162 (devices: 1), the last 1 min ago", true},
		"missed long ago": {func(s *health.Status) {
			s.Buffer.Missed = []health.Missed{{Device: "room-1", Count: 1, Last: noon.Add(-25 * time.Hour)}}
		}, "", false},
		"busy room": {func(s *health.Status) { s.Endpoints[0].State = "busy" }, "Großer Saal (room-1) is busy", false},
		"poor call": {func(s *health.Status) {
			s.Endpoints[0].Grade, s.Endpoints[0].GradeReasons = "poor", "video_recv_loss,audio_send_delay"
		}, "has a poor call: Packets are lost both ways", false},
		"values not understood": {func(s *health.Status) { s.Endpoints[0].NotUnderstood = 2 }, "values that are not understood: 2", false},
		"almost full":           {func(s *health.Status) { s.Buffer.DeliveredKept, s.Buffer.BytesOnDisk = 0, 250<<20 }, "almost full", false},
		"first connection":      {func(s *health.Status) { s.Broker.State = "connecting" }, "The broker is not connected yet, since 11:00", false},
		"store is opened":       {func(s *health.Status) { s.Buffer.State = "opening" }, "The store is being opened", false},
		"new epoch": {func(s *health.Status) {
			s.Identity.NewEpoch, s.Identity.NewEpochAt = "reverted", noon.Add(-time.Hour)
		}, "began anew 1 h ago: the store was behind", false},
		"old clock step": {func(s *health.Status) { s.Clock.LastStep = noon.Add(-2 * time.Hour) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := healthtest.Well()
			c.change(&s)
			all := health.English.Problems(s, noon)
			if c.want == "" && len(all) == 0 {
				return
			}
			if len(all) != 1 || !strings.Contains(all[0].What, c.want) || all[0].Bad != c.bad {
				t.Errorf("got %+v, want %q", all, c.want)
			}
		})
	}
	for i, all := 1, health.English.Problems(healthtest.Ill(), noon); i < len(all); i++ {
		if all[i].Bad && !all[i-1].Bad {
			t.Errorf("a remark stands before %q", all[i].What)
		}
	}
}

func TestStatusListsAreNeverNull(t *testing.T) {
	b, err := health.Status{}.JSON()
	if err != nil || strings.Contains(string(b), "null") {
		t.Errorf("%v\n%s", err, b)
	}
}

// setTimes gives each time in a value a zone and nanoseconds.
func setTimes(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setTimes(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setTimes(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 3, 2, 13, 0, 0, 123456789, time.FixedZone("", 3600))))
			return
		}
		for i := range v.NumField() {
			setTimes(v.Field(i))
		}
	}
}

func TestTimesOfTheStatusAreUTCToTheMillisecond(t *testing.T) {
	var s health.Status
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Struct || f.Type() == reflect.TypeFor[[]health.Endpoint]() || f.Type() == reflect.TypeFor[[]health.Problem]() {
			setTimes(f)
		}
	}
	s.Endpoints[0].Sample = nil
	b, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^.*"2026-.*$`).FindAllString(string(b), -1) {
		if !strings.Contains(line, `"2026-03-02T12:00:00.123Z"`) {
			t.Error(line)
		}
	}
}

func TestAgesAndSizesInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 1500 * time.Millisecond: "2s", 185 * time.Second: "3m05s", 2*time.Hour + 9*time.Minute: "2h09m", 52 * time.Hour: "2d4h"} {
		if got := health.Age(d); got != want {
			t.Errorf("health.Age(%s) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 256 << 20: "256 MiB", 3 << 40: "3 TiB"} {
		if got := health.Bytes(n); got != want {
			t.Errorf("health.Bytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestWhatLastsForWeeksHidesNoNewerProblem(t *testing.T) {
	s, no := healthtest.Well(), false
	s.Clock.Synchronized = &no
	s.HTTP.Error, s.HTTP.Since = "address in use", noon
	s.Warnings = []string{"agent.toml: others can read the secret"}
	var codes []string
	for _, p := range health.English.Problems(s, noon) {
		codes = append(codes, p.Code)
	}
	if got := strings.Join(codes, " "); got != "page_unavailable clock_not_synchronized warning" {
		t.Errorf("in this order: %s", got)
	}
}

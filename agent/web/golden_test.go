package web

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestPageAndStatusShowAsTheGoldenFiles(t *testing.T) {
	for name, s := range map[string]health.Status{"well": healthtest.Well(), "ill": healthtest.Ill()} {
		src := &fake{status: s}
		golden(t, name+".html", ask(src, "/").Body.String())
		golden(t, name+".zh.html", ask(src, "/", inChinese).Body.String())
		golden(t, name+".json", ask(src, "/api/v1/status").Body.String())
		golden(t, name+".metrics", ownMetrics(t, src))
	}
}

// ownMetrics is the scrape without what is about Go and the process.
func ownMetrics(t *testing.T, src Source) string {
	t.Helper()
	w := ask(src, "/metrics")
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics answered %d: %s", w.Code, w.Body)
	}
	var own strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "roomcall_") && !strings.HasPrefix(name, "roomcall_process_") {
			own.WriteString(strings.Replace(line, runtime.Version(), "GOVERSION", 1))
		}
	}
	return own.String()
}

func TestMetricsPassPromlintAndParse(t *testing.T) {
	for _, status := range []health.Status{healthtest.Well(), healthtest.Ill()} {
		status.Endpoints[0].Room = "a \\ \"b\"\nc"
		body := ask(&fake{status: status}, "/metrics").Body.String()
		problems, err := promlint.New(strings.NewReader(body)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("promlint: %v %v", problems, err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		for _, label := range families["roomcall_endpoint_info"].GetMetric()[0].GetLabel() {
			if label.GetName() == "room" && label.GetValue() != status.Endpoints[0].Room {
				t.Errorf("room came back as %q", label.GetValue())
			}
		}
	}
}

func TestMetricsTellAboutTheProcess(t *testing.T) {
	body := ask(&fake{status: healthtest.Well()}, "/metrics").Body.String()
	names := []string{"go_goroutines ", "go_memstats_heap_alloc_bytes ", "process_start_time_seconds "}
	if runtime.GOOS == "linux" {
		names = append(names, "process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds ", "roomcall_process_anonymous_memory_bytes ")
	}
	for _, name := range names {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("no %s in the scrape:\n%s", name, body)
		}
	}
}

func TestMeasurementThatIsNotKnownIsNoSeries(t *testing.T) {
	s := healthtest.Well()
	s.Endpoints[0].Sample = nil
	s.Endpoints[0].InCall = false
	s.Buffer.DiskFree = nil
	for line := range strings.Lines(ownMetrics(t, &fake{status: s})) {
		for _, absent := range []string{"roomcall_media_", "roomcall_endpoint_grade{", "roomcall_disk_free_bytes "} {
			if strings.HasPrefix(line, absent) {
				t.Errorf("series that nobody measured: %s", line)
			}
		}
	}
}

func TestScrapeSurvivesTextThatIsNoUTF8AndADeviceTwice(t *testing.T) {
	s := healthtest.Well()
	s.Endpoints[0].Model = "Box\xff"
	s.Endpoints = append(s.Endpoints, s.Endpoints[0])
	if got := ownMetrics(t, &fake{status: s}); !strings.Contains(got, "roomcall_broker_connected 1") {
		t.Errorf("the scrape lost the other metrics:\n%s", got)
	}
}

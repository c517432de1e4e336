package stricttest

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
)

// VolcPoint is the value of one bucket of time.
type VolcPoint struct {
	At    time.Time
	Value float64
}

// VolcIndicator is one indicator with its values by time.
type VolcIndicator struct {
	Name, Unit string
	Data       []VolcPoint
}

var volcTwoDecimals = regexp.MustCompile(`^-?\d+(\.\d{1,2})?$`)

// Volc reads the reply of ListQuality for a granularity ("5min" or "1d") and a zone: the
// offset of the times that were asked with, in which days begin and times are written.
// Zone nil accepts any one zone (a reply that nobody asked for).
func Volc(doc []byte, granularity string, zone *time.Location) ([]VolcIndicator, error) {
	r, v := open(doc)
	o := r.object("$", v, "ResponseMetadata", "Result")
	meta := r.object("$.ResponseMetadata", o.values["ResponseMetadata"], "RequestId", "Action", "Version", "Service", "Region")
	for k, want := range map[string]string{"Action": "ListQuality", "Version": "2020-12-01", "Service": "rtc"} {
		if got := r.text("$.ResponseMetadata."+k, meta.values[k]); got != want {
			r.fail("$.ResponseMetadata."+k, "%q, want %q", got, want)
		}
	}
	r.text("$.ResponseMetadata.RequestId", meta.values["RequestId"])
	r.text("$.ResponseMetadata.Region", meta.values["Region"])
	result := r.object("$.Result", o.values["Result"], "AggregateGranularity", "Indicators")
	if got := r.text("$.Result.AggregateGranularity", result.values["AggregateGranularity"]); got != granularity {
		r.fail("$.Result.AggregateGranularity", "%q, asked for %q", got, granularity)
	}
	var out []VolcIndicator
	seen := map[string]bool{}
	for i, e := range r.list("$.Result.Indicators", result.values["Indicators"]) {
		at := fmt.Sprintf("$.Result.Indicators[%d]", i)
		row := r.object(at, e, "Name", "Unit", "Data")
		ind := VolcIndicator{Name: r.text(at+".Name", row.values["Name"]), Unit: r.text(at+".Unit", row.values["Unit"])}
		if ind.Name == "" || seen[ind.Name] || ind.Unit == "" {
			r.fail(at, "indicator %q in %q: no name, no unit, or it comes twice", ind.Name, ind.Unit)
		}
		seen[ind.Name] = true
		highest := math.MaxFloat64
		if ind.Unit == "%" {
			highest = 100
		}
		for j, d := range r.list(at+".Data", row.values["Data"]) {
			p := fmt.Sprintf("%s.Data[%d]", at, j)
			data := r.object(p, d, "TimeStamp", "Value")
			pt := VolcPoint{r.time(p+".TimeStamp", data.values["TimeStamp"]), r.number(p+".Value", data.values["Value"], 0, highest)}
			if s := fmt.Sprint(data.values["Value"]); !volcTwoDecimals.MatchString(s) {
				r.fail(p+".Value", "%s has more than two decimals", s)
			}
			s, _ := data.values["TimeStamp"].(string)
			local := pt.At
			if zone != nil {
				local = pt.At.In(zone)
				if s != strings.Replace(local.Format("2006-01-02T15:04:05-07:00"), "-00:00", "+00:00", 1) {
					r.fail(p+".TimeStamp", "%q is not in the zone that was asked for", s)
				}
			}
			if h, m, sec := local.Clock(); sec != 0 || granularity == "1d" && h+m != 0 || granularity == "5min" && m%5 != 0 {
				r.fail(p+".TimeStamp", "%q is not the begin of a bucket", s)
			}
			if j > 0 && len(ind.Data) > 0 && !pt.At.After(ind.Data[len(ind.Data)-1].At) {
				r.fail(p+".TimeStamp", "times do not rise")
			}
			ind.Data = append(ind.Data, pt)
		}
		out = append(out, ind)
	}
	return out, r.err()
}

// VolcError reads the envelope of a refused request: code and message.
func VolcError(doc []byte) (code, message string, err error) {
	r, v := open(doc)
	o := r.object("$", v, "ResponseMetadata")
	meta := r.object("$.ResponseMetadata", o.values["ResponseMetadata"], "RequestId", "Action", "Version", "Service", "Region", "Error")
	for _, k := range []string{"RequestId", "Action", "Version", "Service", "Region"} {
		r.text("$.ResponseMetadata."+k, meta.values[k])
	}
	e := r.object("$.ResponseMetadata.Error", meta.values["Error"], "Code", "Message")
	code, message = r.text("$.ResponseMetadata.Error.Code", e.values["Code"]), r.text("$.ResponseMetadata.Error.Message", e.values["Message"])
	if code == "" || message == "" {
		r.fail("$.ResponseMetadata.Error", "no code or no message")
	}
	return code, message, r.err()
}

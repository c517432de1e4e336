package payload

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"roomcall/cgi"
)

func TestPercentileKeepsItsStatedError(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, scale := range []float64{1, 30, 1000, 50000} {
		var h Histogram
		var all []float64
		for range 2000 {
			x := scale * math.Abs(rng.NormFloat64())
			h = h.add(x)
			all = append(all, x)
		}
		slices.Sort(all)
		for _, q := range []float64{0.05, 0.5, 0.95, 0.99} {
			want := all[int(math.Ceil(q*float64(len(all))))-1]
			if got := h.quantile(q); math.Abs(got-want) > PercentileError*want+smallest {
				t.Errorf("scale %v, quantile %v: %v, want %v", scale, q, got, want)
			}
		}
	}
}

func TestHistogramIsBoundedAndAddLeavesTheOldOneAlone(t *testing.T) {
	var h Histogram
	for _, x := range []float64{1, 5, 0, 1e300, math.SmallestNonzeroFloat64, math.Inf(1), math.NaN()} {
		before := slices.Clone(h.Counts)
		h.add(0.5)
		h.add(1e9)
		if !slices.Equal(h.Counts, before) {
			t.Errorf("%v, was %v", h.Counts, before)
		}
		h = h.add(x)
	}
	if len(h.Counts) != buckets || h.Counts[0] != 3 || h.Counts[buckets-1] != 2 {
		t.Errorf("%d buckets: %v", len(h.Counts), h.Counts)
	}
}

func TestAddLeavesTheOldSumsAlone(t *testing.T) {
	sample := func(x float64) *GroupMedia {
		m := Media{Active: true}
		for k := range m.Values {
			m.Values[k] = cgi.Known(x)
		}
		return &GroupMedia{VideoRecv: m}
	}
	marshal := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	minute, call := MinuteSums{}.Add(sample(1)), CallSums{}.Add(sample(1))
	before := marshal(minute) + marshal(call)
	minute.Add(sample(2))
	call.Add(sample(2))
	if after := marshal(minute) + marshal(call); after != before {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
}

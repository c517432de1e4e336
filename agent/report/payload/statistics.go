package payload

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A statistic is what a call or a minute has of a measure; they are bits.
type statistic uint8

const (
	mean statistic = 1 << iota
	least
	most
	p95
	last
)

// statisticTable has the statistics in the order of the payloads' keys.
var statisticTable = []struct {
	is        statistic
	word, doc string // the ending of the key, the description
}{
	{mean, "avg", "Mean %s"},
	{least, "min", "Lowest %s"},
	{most, "max", "Highest %s"},
	{p95, "p95", "95th percentile of %s, within 5 %% of the value"},
	{last, "last", "Last %s"},
}

func (row *measure) ofCall() statistic   { return row.call }
func (row *measure) ofMinute() statistic { return row.minute }

// A Summary has the statistics of one group by their keys, for example
// "loss_pct_avg". What is absent is not in it.
type Summary map[string]float64

// byMeasure has values for some of the measures, in their order; it is copied with every
// poll. In JSON it is an object with the measures' short names.
type byMeasure[V value] []entry[V]

type entry[V value] struct {
	measure int
	value   V
}

type value interface {
	appendJSON(b []byte) []byte
}

// Of is the value for a measure; not ok: there is none.
func (f byMeasure[V]) Of(measure int) (v V, ok bool) {
	for i := range f {
		if f[i].measure == measure {
			return f[i].value, true
		}
	}
	return v, false
}

// MarshalJSON writes it without reflection, because the state is written with every poll.
func (f byMeasure[V]) MarshalJSON() ([]byte, error) {
	if f == nil {
		return []byte("null"), nil
	}
	b := append(make([]byte, 0, 32*len(f)+2), '{')
	for i := range f {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), measureTable[f[i].measure].short...), `":`...)
		b = f[i].value.appendJSON(b)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote; a name that is not known is left out.
func (f *byMeasure[V]) UnmarshalJSON(b []byte) error {
	var all map[string]V
	if err := json.Unmarshal(b, &all); err != nil || all == nil {
		return err
	}
	*f = byMeasure[V]{}
	for k := range measureTable {
		if v, ok := all[measureTable[k].short]; ok {
			*f = append(*f, entry[V]{k, v})
		}
	}
	return nil
}

// A reading is the last one of a measure.
type reading float64

func (x reading) appendJSON(b []byte) []byte { return appendNumber(b, float64(x)) }

func appendNumber(b []byte, x float64) []byte { return strconv.AppendFloat(b, x, 'g', -1, 64) }

// CallSums collects the samples of an open call, for each group.
type CallSums [Groups]byMeasure[Stat]

// Add returns the sums with a sample counted in; c stays as it is.
func (c CallSums) Add(media *GroupMedia) CallSums {
	for g := range c {
		c[g] = addTo(c[g], &media[g], (*measure).ofCall)
	}
	return c
}

// Summaries is what the call's record says.
func (c *CallSums) Summaries() (out GroupSummaries) {
	for g := range c {
		out[g] = summary(c[g], (*measure).ofCall)
	}
	return out
}

// MinuteSums collects the samples of an open minute in the same way. Last is
// what the newest sample with an active stream said: what it did not say is
// absent.
type MinuteSums struct {
	Sums [Groups]byMeasure[Stat]    `json:"sums"`
	Last [Groups]byMeasure[reading] `json:"last"`
}

// Add returns the sums with a sample counted in; s stays as it is.
func (s MinuteSums) Add(media *GroupMedia) MinuteSums {
	for g := range media {
		m := &media[g]
		if !m.Active {
			continue
		}
		s.Sums[g] = addTo(s.Sums[g], m, (*measure).ofMinute)
		s.Last[g] = make(byMeasure[reading], 0, len(s.Last[g]))
		for k := range measureTable {
			if x := m.Values[k]; x.Known && measureTable[k].minute&last != 0 {
				s.Last[g] = append(s.Last[g], entry[reading]{k, reading(x.Value)})
			}
		}
	}
	return s
}

// Any reports whether a sample with an active stream was counted.
func (s *MinuteSums) Any() bool {
	return slices.ContainsFunc(s.Last[:], func(f byMeasure[reading]) bool { return f != nil })
}

// Summaries is what the minute's record says.
func (s *MinuteSums) Summaries() (out GroupSummaries) {
	for g := range out {
		out[g] = summary(s.Sums[g], (*measure).ofMinute)
		for _, x := range s.Last[g] {
			out[g][measureTable[x.measure].key+"_last"] = float64(x.value)
		}
	}
	return out
}

// addTo returns new sums with the readings counted in of which statistics are
// wanted.
func addTo(sums byMeasure[Stat], m *Media, wanted func(*measure) statistic) byMeasure[Stat] {
	if !m.Active {
		return sums
	}
	out := make(byMeasure[Stat], 0, len(sums)+1)
	for k := range measureTable {
		s, known := sums.Of(k)
		if x, want := m.Values[k], wanted(&measureTable[k])&^last; x.Known && want != 0 {
			s, known = s.add(x.Value, want), true
		}
		if known {
			out = append(out, entry[Stat]{k, s})
		}
	}
	return out
}

func summary(sums byMeasure[Stat], wanted func(*measure) statistic) Summary {
	out := Summary{}
	for i := range sums {
		row, s := &measureTable[sums[i].measure], &sums[i].value
		if s.N == 0 {
			continue
		}
		for _, st := range statisticTable {
			if wanted(row)&st.is&^last != 0 {
				out[row.key+"_"+st.word] = s.value(st.is)
			}
		}
	}
	return out
}

// Stat sums the readings of one measure, as far as its statistics need it: Max
// and Min stay 0 where only the mean is wanted, and without a percentile there
// is no histogram.
type Stat struct {
	N, Sum, Max, Min float64
	Hist             Histogram
}

// add returns the Stat with a reading counted in; s stays as it is.
func (s Stat) add(x float64, want statistic) Stat {
	if want&(least|most|p95) != 0 {
		if s.N == 0 {
			s.Max, s.Min = x, x
		}
		s.Max, s.Min = max(s.Max, x), min(s.Min, x)
	}
	if want&p95 != 0 {
		s.Hist = s.Hist.add(x)
	}
	s.N++
	s.Sum = Round(s.Sum+x, 6) // 0.1 + 0.2 is 0.3, also in fewer bytes
	return s
}

// value is a statistic of at least one reading.
func (s *Stat) value(which statistic) float64 {
	switch which {
	case least:
		return s.Min
	case most:
		return s.Max
	case p95:
		return Round(min(max(s.Hist.quantile(0.95), s.Min), s.Max), 3)
	default:
		return Round(s.Sum/s.N, 3)
	}
}

// appendJSON writes a list of numbers: n and sum, max and min unless both are 0, the
// histogram if there is one.
func (s Stat) appendJSON(b []byte) []byte {
	b = appendNumber(append(b, '['), s.N)
	b = appendNumber(append(b, ','), s.Sum)
	if s.Max != 0 || s.Min != 0 || len(s.Hist.Counts) > 0 {
		b = appendNumber(append(b, ','), s.Max)
		b = appendNumber(append(b, ','), s.Min)
	}
	if len(s.Hist.Counts) > 0 {
		b = appendNumber(append(b, ','), float64(s.Hist.First))
	}
	for _, n := range s.Hist.Counts {
		b = strconv.AppendUint(append(b, ','), uint64(n), 10)
	}
	return append(b, ']')
}

// UnmarshalJSON reads what appendJSON wrote and refuses all else.
func (s *Stat) UnmarshalJSON(b []byte) error {
	var list []float64
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("a sum of readings: %w", err)
	}
	n := len(list)
	if n != 2 && n != 4 && n < 6 || n > 5+buckets || !wholeUpTo(list[0], math.MaxUint32) {
		return fmt.Errorf("a sum of readings that says %.100s", b)
	}
	*s = Stat{N: list[0], Sum: list[1]}
	if n >= 4 {
		s.Max, s.Min = list[2], list[3]
	}
	if n <= 4 {
		return nil
	}
	if !wholeUpTo(list[4], float64(buckets-len(list[5:]))) {
		return fmt.Errorf("a histogram that begins at %v and has %d counts", list[4], len(list[5:]))
	}
	s.Hist.First = int(list[4])
	for _, n := range list[5:] {
		if !wholeUpTo(n, math.MaxUint32) {
			return fmt.Errorf("a histogram with the count %v", n)
		}
		s.Hist.Counts = append(s.Hist.Counts, uint32(n))
	}
	return nil
}

func wholeUpTo(x, most float64) bool { return x >= 0 && x <= most && x == math.Trunc(x) }

// PercentileError is the relative error of a 95th percentile.
const PercentileError = 0.05

// A Histogram counts readings in buckets whose width grows with the value, so
// that each is within PercentileError of its bucket's middle (the idea of
// DDSketch). Readings below 0.01 count as 0; those above about 1e9 are counted
// in the last bucket. There are 256 buckets at most.
type Histogram struct {
	First  int      // the bucket of the first count
	Counts []uint32 // of consecutive buckets
}

const (
	buckets    = 256
	bucketOf1  = 47 // the bucket of the value 1, so that 0.01 comes into the first after that of 0
	smallest   = 0.01
	bucketStep = (1 + PercentileError) / (1 - PercentileError)
)

func bucketOf(x float64) int {
	if !(x >= smallest) {
		return 0
	}
	return int(min(math.Ceil(math.Log(x)/math.Log(bucketStep))+bucketOf1, buckets-1))
}

func middleOf(bucket int) float64 {
	if bucket == 0 {
		return 0
	}
	return 2 * math.Pow(bucketStep, float64(bucket)-bucketOf1) / (bucketStep + 1)
}

// add returns a histogram with x counted in; h stays as it is.
func (h Histogram) add(x float64) Histogram {
	b := bucketOf(x)
	if len(h.Counts) == 0 {
		return Histogram{First: b, Counts: []uint32{1}}
	}
	from := min(h.First, b)
	counts := make([]uint32, max(h.First+len(h.Counts), b+1)-from)
	copy(counts[h.First-from:], h.Counts)
	counts[b-from]++
	return Histogram{from, counts}
}

// quantile is the value at rank ceil(q*n), within PercentileError.
func (h Histogram) quantile(q float64) float64 {
	n := 0.0
	for _, c := range h.Counts {
		n += float64(c)
	}
	rank, seen := math.Ceil(q*n), 0.0
	for i, c := range h.Counts {
		if seen += float64(c); seen >= rank {
			return middleOf(h.First + i)
		}
	}
	return 0
}

package report

import (
	"fmt"
	"math"
	"slices"
)

// sketchError is the stated relative error of a 95th percentile.
const sketchError = 0.05

// A sketch counts values in buckets whose width grows with the value, so that
// every value in a bucket is within sketchError of the bucket's middle (the idea
// of DDSketch). It is a flat list of bucket, count pairs, sorted by bucket; 256
// buckets at most. Values below 0.01 count as 0.
type sketch []uint32

const (
	maxBucket  = 255
	zeroBucket = 0
	bucketBase = 64 // the bucket of the value 1
	smallest   = 0.01
)

var (
	gamma    = (1 + sketchError) / (1 - sketchError)
	logGamma = math.Log(gamma)
)

func bucketOf(x float64) uint32 {
	if !(x >= smallest) {
		return zeroBucket
	}
	return uint32(min(math.Ceil(math.Log(x)/logGamma)+bucketBase, maxBucket))
}

func middleOf(bucket uint32) float64 {
	if bucket == zeroBucket {
		return 0
	}
	return 2 * math.Pow(gamma, float64(bucket)-bucketBase) / (gamma + 1)
}

// add gives a new sketch with x counted in; s stays as it is.
func (s sketch) add(x float64) sketch {
	b := bucketOf(x)
	at := 0
	for at < len(s) && s[at] < b {
		at += 2
	}
	if at < len(s) && s[at] == b {
		c := slices.Clone(s)
		c[at+1]++
		return c
	}
	c := make(sketch, 0, len(s)+2)
	return append(append(append(c, s[:at]...), b, 1), s[at:]...)
}

// quantile gives the value at rank ceil(q*n), within sketchError.
func (s sketch) quantile(q float64) float64 {
	var n uint64
	for i := 1; i < len(s); i += 2 {
		n += uint64(s[i])
	}
	rank := uint64(math.Ceil(q * float64(n)))
	var seen uint64
	for i := 0; i+1 < len(s); i += 2 {
		if seen += uint64(s[i+1]); seen >= rank {
			return middleOf(s[i])
		}
	}
	return 0
}

// check tells whether s is a sketch at all.
func (s sketch) check() error {
	if len(s)%2 != 0 || len(s) > 2*(maxBucket+1) {
		return fmt.Errorf("a sketch with %d numbers", len(s))
	}
	for i := 0; i < len(s); i += 2 {
		if s[i] > maxBucket || i > 0 && s[i] <= s[i-2] {
			return fmt.Errorf("a sketch with bucket %d in the wrong place", s[i])
		}
	}
	return nil
}

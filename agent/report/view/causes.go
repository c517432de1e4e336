package view

import (
	"cmp"
	"slices"
)

// Cause counts in how many samples a factor was a reason.
type Cause struct{ ID, N int }

// Count counts the factors of one more sample.
func Count(causes []Cause, factors []int) []Cause {
	for _, id := range factors {
		i := slices.IndexFunc(causes, func(c Cause) bool { return c.ID == id })
		if i < 0 {
			causes = append(causes, Cause{ID: id})
			i = len(causes) - 1
		}
		causes[i].N++
	}
	return causes
}

// Rank returns the factors by the number of samples, at most three, as in Agora's
// cause_tags; of the same number in the order of factors, as a call's cause_ids.
func Rank(causes []Cause) []int {
	sorted := slices.Clone(causes)
	slices.SortFunc(sorted, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(factorOrder(a.ID), factorOrder(b.ID)))
	})
	var ids []int
	for _, c := range sorted[:min(len(sorted), maxTags)] {
		ids = append(ids, c.ID)
	}
	return ids
}

package buffer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"roomcall/durable"
)

// A report of damage is on disk, as damage-<segment>.json, before the broken
// segment is replaced, and stays there until a batch has announced it: a kill in
// between must not make the loss a silent one. Damage found again in the same
// segment replaces its report, for its count has the earlier losses in it.
const (
	reportPrefix = "damage-"
	reportEnd    = ".json"
)

func (q *Queue) reportPath(segment string) string {
	return filepath.Join(q.o.Dir, reportPrefix+segment+reportEnd)
}

// keepReport writes a report. Under wmu, or before Open returns.
func (q *Queue) keepReport(d Damage) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := durable.Write(q.o.fs, q.reportPath(d.Segment), b, 0o600); err != nil {
		return err
	}
	q.reports[d.Segment] = d.At
	return nil
}

// loadReports takes over what is still to be announced, and with it what Open has
// found.
func (q *Queue) loadReports() error {
	names, err := filepath.Glob(filepath.Join(q.o.Dir, reportPrefix+"*"+reportEnd))
	if err != nil {
		return err
	}
	var all []Damage
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		segment := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), reportPrefix), reportEnd)
		var d Damage
		if json.Unmarshal(b, &d) != nil || d.Segment != segment {
			d = Damage{Segment: segment, At: q.o.Now(), Reason: "damage was found here before; its report cannot be read"}
		}
		q.reports[segment] = d.At
		all = append(all, d)
	}
	for _, d := range q.damage {
		if _, kept := q.reports[d.Segment]; !kept {
			all = append(all, d)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].At.Before(all[j].At) })
	q.damage = all
	return nil
}

// announced removes reports that a committed batch has announced, unless the
// segment has a newer one. Under wmu.
func (q *Queue) announced(list []Damage) {
	for _, d := range list {
		if at, kept := q.reports[d.Segment]; !kept || !at.Equal(d.At) {
			continue
		}
		if err := q.o.fs.Remove(q.reportPath(d.Segment)); err != nil && !os.IsNotExist(err) {
			q.warn("remove the report of a damage", err) // it is announced again after the next start
			continue
		}
		delete(q.reports, d.Segment)
	}
}

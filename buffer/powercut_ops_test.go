package buffer

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"roomcall/durable/durabletest"
)

// moment is what a store holds between two operations.
type moment struct {
	step    int             // of the Disk
	what    string          // the operation that led here
	state   string          // the whole state
	epoch   int64           //
	have    map[uint64]bool // numbers that wait or are in the quarantine
	gone    map[uint64]bool // numbers that were delivered or evicted
	damages int
}

// script does random operations on a store that is watched, and notes what the
// store holds after each.
type script struct {
	t       *testing.T
	rnd     *rand.Rand
	c       *clock
	o       Options
	d       *durabletest.Disk
	q       *Queue
	num     uint64
	all     map[uint64]Record // every record that was handed over
	moments []moment
	done    map[string]int
}

func newScript(t *testing.T, dir string, rnd *rand.Rand) *script {
	s := &script{t: t, rnd: rnd, c: newClock(), all: map[uint64]Record{}, done: map[string]int{}}
	s.o = Options{Dir: dir, MaxBytes: 1 << 20, SegmentBytes: 64 << 10, MaxAge: 3 * time.Hour, KeepDelivered: 20 * time.Minute, Now: s.c.now}
	os.MkdirAll(dir, 0o700)
	s.d = watched(t, &s.o)
	s.start()
	s.note("new store")
	return s
}

func (s *script) start() {
	q, err := Open(s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.q = q
}

func (s *script) note(what string) {
	m := moment{step: s.d.Steps(), what: what, state: fmt.Sprint(s.q.State()), epoch: s.q.Epoch(), have: map[uint64]bool{}, gone: map[uint64]bool{}, damages: len(s.q.Damage())}
	for _, it := range drain(s.t, s.q, false) {
		m.have[it.Num] = true
	}
	aside, err := s.q.Quarantined()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, one := range aside {
		m.have[one.Num] = true
	}
	if len(s.moments) > 0 {
		before := s.moments[len(s.moments)-1]
		maps.Copy(m.gone, before.gone)
		for n := range before.have {
			if !m.have[n] {
				m.gone[n] = true
			}
		}
	}
	s.moments = append(s.moments, m)
	s.done[what]++
}

func (s *script) batch() Batch {
	b := Batch{State: map[string][]byte{"n": []byte(fmt.Sprint(s.num)), "big": make([]byte, s.rnd.IntN(2000))}, Damage: s.q.Damage()}
	for range s.rnd.IntN(6) {
		s.num++
		r := rec("a", s.num, s.c.t, s.rnd.IntN(6000))
		s.all[s.num] = r
		b.Records = append(b.Records, r)
	}
	b.State["n"] = []byte(fmt.Sprint(s.num))
	return b
}

// waiting picks a record that waits.
func (s *script) waiting() (Item, bool) {
	items, err := s.q.Peek(0, 20, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(items) == 0 {
		return Item{}, false
	}
	return items[s.rnd.IntN(len(items))], true
}

func (s *script) append() error {
	b := s.batch()
	b.Evict = s.q.MakeRoom(s.c.now(), 30000)
	return s.q.Append(b)
}

func (s *script) operation() {
	s.c.add(time.Duration(s.rnd.IntN(120)) * time.Second)
	must := func(err error) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	switch n := s.rnd.IntN(100); {
	case n < 50:
		must(s.append())
		s.d.Accepted("a batch")
		s.note("append")
	case n < 65:
		if it, ok := s.waiting(); ok {
			must(s.q.Ack(it.Pos))
			s.note("acknowledge")
		}
	case n < 71:
		if it, ok := s.waiting(); ok {
			must(s.q.Quarantine(it.Pos, "refused"))
			s.d.Accepted("a quarantined record")
			s.note("quarantine")
		}
	case n < 74:
		if aside, err := s.q.Quarantined(); err == nil && len(aside) > 0 {
			must(s.q.Requeue(aside[0].Pos))
			s.d.Accepted("a requeued record")
			s.note("requeue")
		}
	case n < 80: // a kill at any step of an operation; it may have been finished or not
		s.d.KillAfter(s.rnd.IntN(14))
		if it, ok := s.waiting(); ok && s.rnd.IntN(4) == 0 {
			s.q.Quarantine(it.Pos, "refused")
		} else {
			s.append()
		}
		crash(s.q)
		s.d.Revive()
		s.start()
		s.note("kill and start")
	case n < 88:
		must(s.q.Close())
		s.d.Accepted("a clean stop")
		s.note2("clean stop")
		s.start()
		s.note("start after a clean stop")
	case n < 92:
		if s.q.dropOldestDelivered() {
			s.note("room made on a full disk")
		}
	default:
		if len(s.q.segs) > 1 { // only its tree is broken: all records are there
			damage(s.t, s.d, s.q.segs[s.rnd.IntN(len(s.q.segs)-1)].path)
			must(s.q.Scan(func(Item, bool) error { return nil }))
			s.note("repair")
		}
	}
}

// note2 is note for a store that is closed: it holds what it held.
func (s *script) note2(what string) {
	m := s.moments[len(s.moments)-1]
	m.step, m.what = s.d.Steps(), what
	s.moments = append(s.moments, m)
}

// cut opens the store as a power cut after so many steps leaves it and compares it
// with the moments before and after the operation that was under way.
func (s *script) cut(step int, dir string) {
	t := s.t
	t.Helper()
	i := slices.IndexFunc(s.moments, func(m moment) bool { return m.step >= step })
	after := s.moments[i]
	before := after
	if i > 0 && after.step > step {
		before = s.moments[i-1]
	}
	s.d.Cut(step, s.rnd, dir)
	o := s.o
	o.Dir, o.fs, o.opened = dir, nil, nil
	q, err := Open(o)
	if err != nil {
		t.Fatalf("cut at step %d in %q: %v", step, after.what, err)
	}
	defer crash(q)
	state, epoch := fmt.Sprint(q.State()), q.Epoch()
	fresh := i == 0 // the store was being made
	if !fresh && (state != before.state && state != after.state || epoch != after.epoch) {
		t.Fatalf("cut at step %d in %q: state or epoch is neither that before nor that after", step, after.what)
	}
	for _, d := range q.Damage() {
		if d.Lost > 0 || d.Reset || after.damages+before.damages == 0 && after.what != "repair" {
			t.Fatalf("cut at step %d in %q is taken for damage: %+v", step, after.what, d)
		}
	}
	have, last := map[uint64]bool{}, uint64(0)
	items := drain(t, q, false)
	aside, err := q.Quarantined()
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if it.Pos <= last {
			t.Fatalf("cut at step %d: position %d follows %d", step, it.Pos, last)
		}
		last = it.Pos
	}
	for _, one := range aside {
		items = append(items, one.Item)
	}
	for _, it := range items {
		wantRecord(t, it, s.all[it.Num])
		have[it.Num] = true
		if !before.have[it.Num] && !after.have[it.Num] && !after.gone[it.Num] {
			t.Fatalf("cut at step %d in %q: record %d was never accepted", step, after.what, it.Num)
		}
	}
	isAfter := state == after.state
	for n := range before.have {
		if !have[n] && !after.gone[n] {
			t.Fatalf("cut at step %d in %q: accepted record %d is lost", step, after.what, n)
		}
	}
	for n := range after.have {
		if isAfter && state != before.state && !have[n] {
			t.Fatalf("cut at step %d in %q: record %d is lost, but the state of its commit is there", step, after.what, n)
		}
	}
	if err := q.Append(Batch{Records: []Record{rec("a", 1<<40, s.c.t, 100)}, Damage: q.Damage()}); err != nil {
		t.Fatalf("cut at step %d in %q: append: %v", step, after.what, err)
	}
}

func TestPowerCutInAnyOperationLosesNoAcceptedRecord(t *testing.T) {
	n, rnd, root := count("BUFFER_POWERCUTS", 300), rand.New(rand.NewPCG(7, 8)), shmDir(t)
	done := map[string]int{}
	var s *script
	for i := range n {
		if i%100 == 0 {
			if s != nil {
				crash(s.q)
			}
			s = newScript(t, filepath.Join(root, fmt.Sprint("run", i)), rnd)
			for range 120 {
				s.operation()
			}
			for what, k := range s.done {
				done[what] += k
			}
		}
		s.cut(rnd.IntN(s.d.Steps()+1), filepath.Join(root, "cut"))
	}
	crash(s.q)
	t.Logf("%d power cuts in runs of %v: 0 accepted records lost", n, done)
}

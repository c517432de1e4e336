package buffer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// model is the store as a plain slice.
type model struct {
	t       *testing.T
	rnd     *rand.Rand
	c       *clock
	o       Options
	q       *Queue
	all     []Record // accepted, in order; position is index+1
	state   map[string]string
	cursor  uint64
	evicted uint64
	skip    map[uint64]bool
	num     uint64
	steps   map[string]int
	armed   bool // a write of bbolt will fail
}

func (m *model) reopen(kill bool) {
	before := m.q.Info().Cursor
	m.armed = false
	if kill {
		crash(m.q)
	} else if err := m.q.Close(); err != nil {
		m.t.Fatal(err)
	}
	q, err := Open(m.o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.q = q
	in := q.Info()
	if len(in.Damage) > 0 || in.Cursor > before || !kill && in.Cursor != before || before-in.Cursor > cursorRecords {
		m.t.Fatalf("after reopening (kill %v): cursor %d, was %d, damage %+v", kill, in.Cursor, before, in.Damage)
	}
	m.cursor = in.Cursor
}

func (m *model) append() {
	var b Batch
	for range m.rnd.IntN(5) {
		m.num++
		b.Records = append(b.Records, rec(string(rune('a'+m.rnd.IntN(3))), m.num, m.c.t, m.rnd.IntN(4000)))
	}
	key := string(rune('x' + m.rnd.IntN(3)))
	if b.State = map[string][]byte{key: []byte(fmt.Sprint(m.num))}; m.rnd.IntN(10) == 0 {
		b.State[key] = nil
	}
	b.Evict = m.q.MakeRoom(m.c.now(), 20000)
	if m.armed && m.q.w == nil { // it hit the cursor's commit
		m.armed = false
		m.steps["failures"]++
	}
	if m.rnd.IntN(20) == 0 && m.q.w != nil && !m.armed {
		failWrites(m.t, m.q.w.db, m.rnd.IntN(5))
		m.armed = true
	}
	err := m.q.Append(b)
	if err != nil {
		if !m.armed || !errors.Is(err, ErrFull) {
			m.t.Fatal(err)
		}
		m.armed = false
		m.steps["failures"]++
		return
	}
	m.all = append(m.all, b.Records...)
	for k, v := range b.State {
		if m.state[k] = string(v); v == nil {
			delete(m.state, k)
		}
	}
	m.evict(b.Evict)
}

// evict checks the announced gaps against the records that go.
func (m *model) evict(ev *Eviction) {
	if ev == nil {
		return
	}
	want := map[string]*Gap{}
	for pos := max(m.cursor, m.evicted) + 1; pos <= ev.upto; pos++ {
		r := m.all[pos-1]
		if m.skip[pos] {
			continue
		}
		if want[r.Lane] == nil {
			want[r.Lane] = &Gap{Lane: r.Lane, First: r.Num, Reason: ev.Gaps[0].Reason}
		}
		want[r.Lane].Last = r.Num
		want[r.Lane].Count++
	}
	queue, aside := ev.Gaps[:len(ev.Gaps)-len(ev.quarantined)], ev.Gaps[len(ev.Gaps)-len(ev.quarantined):]
	for i, g := range aside { // the quarantine is bounded too
		if r := m.all[ev.quarantined[i]-1]; !m.skip[ev.quarantined[i]] || g != (Gap{r.Lane, r.Num, r.Num, 1, ReasonMaxBytes}) {
			m.t.Fatalf("gap %+v of the quarantine, position %d", g, ev.quarantined[i])
		}
	}
	for _, g := range queue {
		if want[g.Lane] == nil || *want[g.Lane] != g {
			m.t.Fatalf("gap %+v, want %+v", g, want[g.Lane])
		}
		delete(want, g.Lane)
	}
	if len(want) > 0 {
		m.t.Fatalf("gaps are missing: %+v", want)
	}
	m.evicted = max(m.evicted, ev.upto)
	m.steps["evictions"]++
}

// failWrites makes the n-th next write of bbolt fail as on a full disk.
func failWrites(t testing.TB, db *bbolt.DB, n int) {
	hook := writeHook(t, db)
	real := *hook
	*hook = func(b []byte, off int64) (int, error) {
		if n--; n < 0 {
			return 0, syscall.ENOSPC
		}
		return real(b, off)
	}
}

// compare peeks through the whole queue and compares it with the slice.
func (m *model) compare() {
	pos, waiting := max(m.cursor, m.evicted), uint64(0)
	for _, it := range drain(m.t, m.q, false) {
		for pos++; m.skip[pos]; pos++ {
		}
		if it.Pos != pos {
			m.t.Fatalf("position %d, want %d", it.Pos, pos)
		}
		wantRecord(m.t, it, m.all[pos-1])
		waiting++
	}
	for pos++; m.skip[pos]; pos++ {
	}
	if pos != uint64(len(m.all))+1 {
		m.t.Fatalf("queue ends before %d, want %d", pos, len(m.all)+1)
	}
	state := map[string]string{}
	for k, v := range m.q.State() {
		state[k] = string(v)
	}
	if !reflect.DeepEqual(state, m.state) {
		m.t.Fatalf("state %v, want %v", state, m.state)
	}
	if in := m.q.Info(); in.Waiting != waiting || in.DiskBytes > m.o.MaxBytes {
		m.t.Fatalf("info: %d waiting, want %d; %d bytes on disk of %d", in.Waiting, waiting, in.DiskBytes, m.o.MaxBytes)
	}
}

func (m *model) ack() {
	items, err := m.q.Peek(0, 1+m.rnd.IntN(50), 1<<20)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(items) == 0 {
		return
	}
	upto := items[m.rnd.IntN(len(items))].Pos
	if err := m.q.Ack(upto); err != nil {
		m.t.Fatal(err)
	}
	m.cursor = upto
}

func (m *model) quarantine() {
	items, _ := m.q.Peek(0, 3, 1<<20)
	if len(items) == 0 {
		return
	}
	pos := items[m.rnd.IntN(len(items))].Pos
	if err := m.q.Quarantine(pos, "test"); err != nil {
		m.t.Fatal(err)
	}
	m.skip[pos] = true
}

func TestRandomOperationsMatchAPlainSlice(t *testing.T) {
	steps := count("BUFFER_STEPS", 800)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			c := newClock()
			m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 9)), c: c, state: map[string]string{}, skip: map[uint64]bool{}, steps: map[string]int{}}
			m.o = Options{Dir: shmDir(t), MaxBytes: 1 << 20, MaxAge: 50 * time.Minute, KeepDelivered: 20 * time.Minute, Now: c.now}
			m.q = open(t, m.o)
			for range steps {
				c.add(time.Duration(m.rnd.IntN(20)) * time.Second)
				switch n := m.rnd.IntN(100); {
				case n < 60:
					m.append()
				case n < 90:
					if seed%2 == 0 || m.rnd.IntN(8) == 0 { // odd seeds fall behind
						m.ack()
					}
				case n < 92:
					m.quarantine()
				case n < 94:
					m.reopen(true)
				case n < 96:
					m.reopen(false)
				default:
					m.compare()
				}
			}
			m.compare()
			t.Logf("%d records, %d evictions, %d failed writes, %d set aside", len(m.all), m.steps["evictions"], m.steps["failures"], len(m.skip))
			m.q.Close()
		})
	}
}

package buffer

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDamageIsReportedAfterEachKillUntilABatchAnnouncesIt(t *testing.T) {
	for _, name := range []string{"older segment", "newest segment", "first segment is gone"} {
		t.Run(name, func(t *testing.T) {
			c, dir := newClock(), shmDir(t)
			o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
			q := open(t, o)
			fill(t, q, c, "a", 1, 200, 1000)
			broken := q.segs[0].path
			if name == "newest segment" {
				broken = q.segs[len(q.segs)-1].path
			}
			crash(q)
			if name == "first segment is gone" {
				os.Remove(broken)
			} else {
				b, _ := os.ReadFile(broken)
				clear(b[:2*pageSize])
				b = []byte(strings.ReplaceAll(string(b), "a#5 ", "a#X "))
				os.WriteFile(broken, b, 0o600)
			}
			var first Damage
			for i := range 3 {
				q = open(t, o)
				d := q.Damage()
				if len(d) != 1 || i > 0 && !reflect.DeepEqual(d[0], first) {
					t.Fatalf("start %d: %+v, want %+v", i, d, first)
				}
				first = d[0]
				first.At = first.At.Round(0)
				if err := q.Append(Batch{Records: []Record{rec("a", uint64(201+i), c.t, 10)}}); err != nil {
					t.Fatal(err)
				}
				c.add(time.Second)
				crash(q)
			}
			q = open(t, o)
			if err := q.Append(Batch{Records: []Record{rec("a", 300, c.t, 10)}, Damage: q.Damage()}); err != nil {
				t.Fatal(err)
			}
			crash(q)
			if q = open(t, o); len(q.Damage()) > 0 {
				t.Fatalf("announced and reported again: %+v", q.Damage())
			}
		})
	}
}

func TestReportsKeepTheirKeys(t *testing.T) {
	b, err := json.Marshal(Damage{KeptAs: "seg-1.db.corrupt-1"})
	want := `{"Segment":"","Aside":"seg-1.db.corrupt-1","At":"0001-01-01T00:00:00Z","Reason":"","Salvaged":0,"Lost":0,"Gaps":null,"Reset":false}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v; a report that is on disk already has %s", b, err, want)
	}
}

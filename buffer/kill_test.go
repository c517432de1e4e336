package buffer

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// count reads the size of a test from the environment, so that the long runs use
// the same code.
func count(name string, short int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return short
}

func killOptions(dir string) Options {
	return Options{Dir: dir, MaxBytes: 2 << 20, SegmentBytes: 64 << 10}
}

// writeForever is the child that gets killed: it appends, reads and acknowledges
// as fast as it can and says what was accepted.
func writeForever(dir string) int {
	q, err := Open(killOptions(dir))
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	num, _ := strconv.ParseUint(string(q.State()["num"]), 10, 64)
	fmt.Println("open", num)
	for {
		var b Batch
		for range 1 + rand.IntN(5) {
			num++
			b.Records = append(b.Records, rec("a", num, time.Now(), rand.IntN(3000)))
		}
		b.State = map[string][]byte{"num": []byte(fmt.Sprint(num))}
		b.Evict = q.MakeRoom(time.Now(), 20000)
		if err := q.Append(b); err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("accepted", num)
		if items, err := q.Peek(0, 1+rand.IntN(8), 1<<20); err == nil && len(items) > 0 {
			last := items[len(items)-1]
			fmt.Println("delivered", last.Num)
			q.Ack(last.Pos)
		}
	}
}

// killChild runs the child for a while, kills it and returns the last numbers it
// has reported.
func killChild(t *testing.T, dir string) (accepted, delivered uint64) {
	t.Helper()
	args := append(child(t, "-child-write"), dir)
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, kill := 0, 1+rand.IntN(120)
	for sc := bufio.NewScanner(out); sc.Scan(); {
		word, rest, _ := strings.Cut(sc.Text(), " ")
		n, _ := strconv.ParseUint(rest, 10, 64)
		switch word {
		case "accepted":
			accepted = n
		case "delivered":
			delivered = n
		case "error":
			t.Errorf("child: %s", rest)
		}
		if lines++; lines == kill {
			cmd.Process.Kill() // what was said before is still in the pipe
		}
	}
	cmd.Wait()
	return accepted, delivered
}

func TestKilledProcessLosesNoAcceptedRecord(t *testing.T) {
	dir := t.TempDir()
	rounds, sent, again := count("BUFFER_KILLS", 8), uint64(0), uint64(0)
	for round := range rounds {
		accepted, delivered := killChild(t, dir)
		q := open(t, killOptions(dir))
		num, _ := strconv.ParseUint(string(q.State()["num"]), 10, 64)
		if num < accepted {
			t.Fatalf("round %d: state says %d, but %d was accepted", round, num, accepted)
		}
		items := drain(t, q, false)
		sent = max(sent, delivered)
		want := num + 1
		if len(items) > 0 {
			want = items[0].Num
		}
		if want > sent+1 {
			t.Fatalf("round %d: the queue starts at %d, delivered is %d", round, want, sent)
		}
		again += sent + 1 - want
		for _, it := range items {
			wantRecord(t, it, Record{Lane: "a", Num: want, Time: it.Time, Fresh: 2 * time.Second, Payload: rec("a", want, it.Time, len(it.Payload)).Payload})
			want++
		}
		if want != num+1 || len(q.Damage()) > 0 {
			t.Fatalf("round %d: the queue ends at %d, want %d; damage %+v", round, want-1, num, q.Damage())
		}
		crash(q)
	}
	t.Logf("%d kills, %d records, 0 lost, %d offered again", rounds, sent, again)
}

func TestFolderInUseByAnotherProcessIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	args := append(child(t, "-child-write"), dir)
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	bufio.NewReader(out).ReadString('\n')
	if _, err := Open(killOptions(dir)); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "already running") {
		t.Fatalf("open while a child has the folder: %v", err)
	}
}

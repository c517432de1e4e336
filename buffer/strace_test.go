//go:build linux

package buffer

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func init() { childAppend = appendAndClose }

// appendAndClose is the child that is observed: commits, a new segment, a
// quarantined record, a clean stop. It says what was accepted.
func appendAndClose(dir string) int {
	q, err := Open(Options{Dir: dir, SegmentBytes: 64 << 10})
	say := func(what string) {
		if err == nil {
			fmt.Println("accepted", what)
		}
	}
	for i := uint64(1); i <= 60 && err == nil; i++ {
		err = q.Append(Batch{Records: []Record{rec("a", i, time.Now(), 2000)}, State: map[string][]byte{"n": {byte(i)}}})
		say(fmt.Sprint("record ", i))
	}
	if err == nil {
		err = q.Quarantine(5, "refused")
		say("quarantine")
	}
	if err == nil {
		err = q.Close()
		say("close")
	}
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

var (
	onFile = regexp.MustCompile(`^(pwrite64|write|ftruncate|fdatasync|fsync)\(\d+<([^>]*)>`)
	onName = regexp.MustCompile(`^rename(?:at2?)?\(.*?"([^"]+)".*?"([^"]+)"`)
	moved  = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)
)

// What bbolt flushes cannot be seen from inside. So a process is observed from
// outside, and the order of its system calls has to be the promised one: nothing
// is said to be accepted, and nothing gets a name, before its flush has returned;
// the pages of a commit are flushed before the meta page that leads to them.
func TestOrderSeenFromOutside(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIPPED: NOBODY WATCHES WHETHER bbolt FLUSHES: strace is missing, install it with make needs")
	}
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	store := filepath.Join(dir, "store")
	args := []string{"-f", "-y", "-s", "300", "-o", log, "-e", "trace=pwrite64,write,ftruncate,fdatasync,fsync,rename,renameat,renameat2"}
	out, err := exec.Command(strace, append(append(args, child(t, "-child-append")...), store)...).CombinedOutput()
	if strings.Contains(string(out), "ptrace") && strings.Contains(string(out), "not permitted") {
		t.Skip("SKIPPED: NOBODY WATCHES WHETHER bbolt FLUSHES: this machine forbids strace to observe")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dirty, metaOf := map[string]bool{}, map[string]bool{}
	names, begun := map[string]bool{}, map[string]string{} // names not flushed; calls under way, by thread
	accepted, commits, renames := 0, 0, 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		pid, call, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		call = strings.TrimSpace(call)
		if at := strings.Index(call, " <unfinished ...>"); at >= 0 {
			begun[pid] = call[:at]
			if strings.HasPrefix(call, "fdatasync") || strings.HasPrefix(call, "fsync") {
				continue // it counts when it has returned
			}
			call = call[:at]
		} else if moved.MatchString(call) {
			call = begun[pid]
			if !strings.HasPrefix(call, "fdatasync") && !strings.HasPrefix(call, "fsync") {
				continue
			}
		}
		if m := onName.FindStringSubmatch(call); m != nil {
			from, to := filepath.Base(m[1]), filepath.Base(m[2])
			if dirty[from] {
				t.Errorf("%s gets the name %s before its bytes are flushed", from, to)
			}
			names[to] = true
			renames++
			continue
		}
		m := onFile.FindStringSubmatch(call)
		if m == nil {
			continue
		}
		name := filepath.Base(m[2])
		switch {
		case strings.Contains(call, `"accepted `):
			accepted++
			for name := range dirty {
				t.Errorf("%q is said while %s is not flushed", call, name)
			}
			for name := range names {
				t.Errorf("%q is said while the name %s is not flushed", call, name)
			}
		case m[1] == "fdatasync" || m[1] == "fsync":
			delete(dirty, name)
			if m[2] == store {
				clear(names)
			}
		case !strings.HasPrefix(m[2], store) || m[1] == "ftruncate":
		default:
			meta := strings.HasSuffix(call, ", 4096, 0) = 4096") || strings.HasSuffix(call, ", 4096, 4096) = 4096") ||
				strings.HasSuffix(call, ", 4096, 0") || strings.HasSuffix(call, ", 4096, 4096")
			if meta && m[1] == "pwrite64" {
				commits++
				if dirty[name] {
					t.Errorf("a meta page of %s is written before the pages it leads to are flushed", name)
				}
				metaOf[name] = true
			}
			dirty[name] = true
		}
	}
	t.Logf("%d commits, %d names, %d things accepted", commits, renames, accepted)
	if accepted != 62 || commits < 62 || renames < 4 || len(metaOf) < 3 {
		t.Errorf("the trace is not what was expected: %d accepted, %d commits, %d names", accepted, commits, renames)
	}
}

package buffer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
)

// Limits of the child process that verifies a segment. A damaged file can make
// bbolt's check run for ever, eat all memory, or fault.
const (
	verifyTimeout = 30 * time.Second
	verifyMemory  = 256 << 20 // heap, bytes
)

// Exit codes of VerifyMain. verifyFault is what Go exits with on a panic or a
// memory fault: the check itself broke down on the file. Anything else, such as
// the end by a system that is short of memory, is no verdict.
const (
	verifyFault    = 2
	verifySound    = 0
	verifyDamaged  = 10
	verifyNewer    = 11
	verifyUnread   = 12 // permission, lock, too many open files: no verdict
	verifyGreeting = "verify-segment 1\n"
)

// VerifyMain is the entry point of the child process that checks one segment. It
// writes a greeting, so that a command line that does something else is not taken
// for a verdict, and returns the exit code.
func VerifyMain(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: verify-segment FILE")
		return verifyUnread
	}
	fmt.Print(verifyGreeting)
	debug.SetMemoryLimit(verifyMemory)
	limitMemory(8 * verifyMemory)
	go func() {
		time.Sleep(verifyTimeout)
		os.Exit(verifyDamaged)
	}()
	go watchHeap()
	err := verifySegment(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	switch {
	case err == nil:
		return verifySound
	case errors.Is(err, ErrNewer):
		return verifyNewer
	case errors.Is(err, errDamaged):
		return verifyDamaged
	}
	return verifyUnread
}

func watchHeap() {
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapInuse > verifyMemory {
			fmt.Fprintln(os.Stderr, "the check takes too much memory")
			os.Exit(verifyDamaged)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// verifySegment reads every record through our own walk, then has bbolt check the
// file.
func verifySegment(path string) error {
	r, err := openReader(path)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.check(r.head.next - 1); err != nil {
		return err
	}
	o := boltOptions(0)
	o.ReadOnly = true
	db, err := bbolt.Open(path, 0o600, o)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = damagedf("bbolt check: %w", err)
			}
		}
		return first
	})
}

// runVerify runs the child process. errDamaged is its verdict; any other error
// means that there is none.
func runVerify(command []string, path string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], path)...)
	cmd.WaitDelay = time.Second
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if err == nil && out.String() == verifyGreeting {
		return nil
	}
	if !bytes.HasPrefix(out.Bytes(), []byte(verifyGreeting)) {
		return fmt.Errorf("run %s: no verdict: %w", filepath.Base(command[0]), errors.Join(err, ctx.Err()))
	}
	switch cmd.ProcessState.ExitCode() {
	case verifyUnread, verifyNewer:
		return fmt.Errorf("run %s: %s", filepath.Base(command[0]), firstLine(stderr.Bytes()))
	case verifyDamaged:
		return damagedf("%s", firstLine(stderr.Bytes()))
	}
	if ctx.Err() != nil || cmd.ProcessState.ExitCode() == verifyFault {
		return damagedf("the check broke down (%v): %s", err, firstLine(stderr.Bytes()))
	}
	return fmt.Errorf("run %s: it was ended from outside (%v): %s", filepath.Base(command[0]), err, firstLine(stderr.Bytes()))
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line[:min(len(line), 300)]
}

// Verdict is the result of checking one segment.
type Verdict struct {
	Segment string
	Records uint64
	Bytes   int64 // of the file
	Err     error // nil = sound
}

// VerifyDir checks every segment of a store that no process has open: each page,
// each record's CRC, and with a command as Options.VerifyCommand has it also
// bbolt's own check in a child process. It changes nothing. The error says that
// checking was not possible; damage is in the verdicts.
func VerifyDir(dir string, command []string) ([]Verdict, error) {
	lock, err := lockShared(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	segs, err := listSegments(dir)
	if err != nil {
		return nil, fmt.Errorf("verify store %s: %w", dir, err)
	}
	var out []Verdict
	for i, s := range segs {
		last := uint64(math.MaxUint64)
		if i+1 < len(segs) {
			last = segs[i+1].first - 1
		}
		out = append(out, verifyFile(s, last, command))
	}
	return out, nil
}

func verifyFile(s *segment, last uint64, command []string) Verdict {
	v := Verdict{Segment: filepath.Base(s.path), Bytes: s.file}
	r, err := openReader(s.path)
	if err != nil {
		v.Err = err
		return v
	}
	defer r.close()
	v.Records = r.head.count
	if last == math.MaxUint64 {
		last = r.head.next - 1
	}
	if v.Err = r.check(last); v.Err == nil && len(command) > 0 {
		v.Err = runVerify(command, s.path, verifyTimeout)
	}
	return v
}

// Verify checks every sealed segment of the open store in the same way. It waits
// for no append and repairs nothing; the segment being written is left out.
func (q *Queue) Verify() []Verdict {
	q.mu.Lock()
	var segs []segment
	for _, s := range q.segs {
		if q.db == nil || s != q.segs[len(q.segs)-1] {
			segs = append(segs, *s)
		}
	}
	q.mu.Unlock()
	var out []Verdict
	for _, s := range segs {
		if v := verifyFile(&s, s.last, q.o.VerifyCommand); !errors.Is(v.Err, os.ErrNotExist) {
			out = append(out, v)
		}
	}
	return out
}

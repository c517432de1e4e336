package host

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// Bounds of a Sink.
const (
	sinkBytes = 1 << 20 // of the lines that wait
	// sinkStuck is how long a write may take before the log counts as failing.
	sinkStuck = 5 * time.Second
)

// Sink brings log lines to an output in a goroutine of its own, so that a reader
// who is slow, stuck or gone, or a full disk, never delays whoever logs. What has no
// room or cannot be written is dropped and counted, and said in the log itself as
// soon as it works again.
type Sink struct {
	out io.Writer

	mu      sync.Mutex
	lines   [][]byte
	bytes   int       // of lines
	writing time.Time // when the write under way began, zero = none
	lost    uint64    // lines, since the start
	unsaid  uint64    // those of lost that the log does not mention yet
	err     error     // of the last write
	why     error     // the last error before unsaid is said
	torn    bool      // the output ends in the middle of a line
	say     func(lost uint64, why error) []byte
	idle    chan struct{} // closed when all is written; nil = nothing waits, no goroutine runs
}

// NewSink writes to out.
func NewSink(out io.Writer) *Sink { return &Sink{out: out} }

// Write takes one line and returns at once; it never fails.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+len(line) > sinkBytes {
		s.drop(nil)
		return len(line), nil
	}
	s.lines = append(s.lines, bytes.Clone(line))
	s.bytes += len(line)
	if s.idle == nil {
		s.idle = make(chan struct{})
		go s.run()
	}
	return len(line), nil
}

// drop counts a line that is not written.
func (s *Sink) drop(err error) {
	s.lost++
	s.unsaid++
	if err != nil {
		s.why = err
	}
}

// run writes until nothing waits.
func (s *Sink) run() {
	for line, report := s.next(); line != nil; line, report = s.next() {
		n, err := s.out.Write(line)
		if err == nil && n < len(line) {
			err = io.ErrShortWrite
		}
		s.wrote(n, err, report)
	}
}

// next is what is written now; report = it is the line about so many lost ones.
// nil = nothing waits.
func (s *Sink) next() (line []byte, report uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.unsaid > 0 && s.err == nil && s.say != nil:
		line, report = s.say(s.unsaid, s.why), s.unsaid
	case len(s.lines) > 0:
		line = s.lines[0]
		s.bytes -= len(line)
		s.lines = s.lines[1:]
	default:
		close(s.idle)
		s.writing, s.lines, s.idle = time.Time{}, nil, nil
		return nil, 0
	}
	if s.torn {
		line = append([]byte{'\n'}, line...)
	}
	s.writing = time.Now()
	return line, report
}

// wrote takes note of a write of n bytes.
func (s *Sink) wrote(n int, err error, report uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if n > 0 || err == nil {
		s.torn = err != nil
	}
	switch {
	case err != nil && report == 0:
		s.drop(err)
	case err == nil && report > 0:
		s.unsaid -= report
		if s.unsaid == 0 {
			s.why = nil
		}
	}
}

// sayLost sets how the log tells that lines were lost.
func (s *Sink) sayLost(say func(lost uint64, why error) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say = say
}

// SinkState is how a log is doing.
type SinkState struct {
	Lost    uint64 // lines dropped since the start
	Failing bool   // the last write failed, or one is stuck
	Err     error  // of the last write, nil = it worked or is stuck
}

// State is a snapshot. A nil sink is well.
func (s *Sink) State() SinkState {
	if s == nil {
		return SinkState{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stuck := !s.writing.IsZero() && time.Since(s.writing) > sinkStuck
	return SinkState{Lost: s.lost, Failing: s.err != nil || stuck, Err: s.err}
}

// Flush waits until everything is written, at most so long. A nil sink has nothing.
func (s *Sink) Flush(patience time.Duration) {
	if s == nil {
		return
	}
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle == nil {
		return
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-idle:
	case <-limit.C:
	}
}

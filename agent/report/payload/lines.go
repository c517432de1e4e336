package payload

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// maxLine bounds a line of the input in bytes; views are the longest.
const maxLine = 4 << 20

// What is wrong with a line, where the JSON decoder does not say it.
var (
	errLongLine = fmt.Errorf("longer than %d MiB", maxLine>>20)
	errNoRecord = errors.New("no JSON object")
	errNoID     = errors.New("a record without id, client_id, device or ts_ms")
	errUTF16    = errors.New("the input is UTF-16, as PowerShell writes it; write it as UTF-8, for example with buffer export --out FILE")
)

// BadLinesError: lines of the input could not be read. The result has the
// others.
type BadLinesError struct{ Bad, Lines int }

func (e *BadLinesError) Error() string {
	if e.Bad == 1 {
		return fmt.Sprintf("1 of %d lines could not be read and is left out", e.Lines)
	}
	return fmt.Sprintf("%d of %d lines could not be read and are left out", e.Bad, e.Lines)
}

// Line is a record of an input that is not decoded yet, with the keys by which
// readers choose.
type Line struct {
	// Kind is the flat kind, or "" for what comes along and is none: availability,
	// echo, birth, views, objects of others. Then only Bytes may be set.
	Kind                       string
	ID, ClientID, Device, Room string
	TsMs                       int64
	Replayed                   bool
	// Bytes is the JSON object, valid until the next line is read.
	Bytes []byte
}

// Record decodes the line.
func (l *Line) Record() (Record, error) {
	r := New(l.Kind)
	return r, Decode(l.Bytes, r)
}

// ReadLines reads published or exported records, one JSON object a line, and
// hands them to each. A topic or other text may precede an object, and an object
// may hold the record as "payload" (mosquitto_sub -F %j and %J); blank lines are
// ignored. A line that cannot be read, or that each rejects, goes to bad with its
// number from 1 (nil = nobody wants to know) and is left out: then the error is a
// *BadLinesError. Any other error is that of the reader. Memory does not grow with
// the input.
func ReadLines(in io.Reader, bad func(line int, err error), each func(*Line) error) error {
	lines := lineReader{from: bufio.NewReaderSize(in, 64<<10)}
	if b, _ := lines.from.Peek(2); string(b) == "\xff\xfe" || string(b) == "\xfe\xff" {
		return errUTF16
	}
	var count BadLinesError
	for {
		line, err := lines.next()
		switch {
		case err == io.EOF && count.Bad > 0:
			return &count
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, errLongLine):
			return fmt.Errorf("read line %d: %w", count.Lines+1, err)
		case err == nil:
			err = openLine(line, each)
		}
		count.Lines++
		if err == nil {
			continue
		}
		count.Bad++
		if bad != nil {
			bad(count.Lines, err)
		}
	}
}

// lineReader returns lines one after the other, in bounded memory.
type lineReader struct {
	from *bufio.Reader
	line []byte
}

// next returns the next line, valid until the next call. The error is io.EOF behind
// the last one, errLongLine for one that is over maxLine and was skipped, or
// that of the reader.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	long, some := false, false
	for {
		part, err := l.from.ReadSlice('\n')
		some = some || len(part) > 0
		if long = long || len(l.line)+len(part) > maxLine; !long {
			l.line = append(l.line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && !some, err != nil && err != io.EOF:
			return nil, err
		case long:
			return nil, errLongLine
		}
		return l.line, nil
	}
}

// openLine hands on what is in a line.
func openLine(b []byte, each func(*Line) error) error {
	if i := bytes.IndexByte(b, '{'); i >= 0 {
		return openObject(b[i:], true, each)
	}
	return openBare(b, each)
}

// bareWords and bareEcho are the payloads that are no JSON and come along with
// "everything": availability, echo, and mosquitto_sub's word for an emptied topic.
var (
	bareWords = []string{"online", "offline", "lost", "(null)"}
	bareEcho  = regexp.MustCompile(`^[A-Z2-7]{26}$`)
)

// openBare hands on a line without an object; a topic may precede its word.
func openBare(b []byte, each func(*Line) error) error {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil
	}
	word := b[bytes.LastIndexByte(b, ' ')+1:]
	if !slices.Contains(bareWords, string(word)) && !bareEcho.Match(word) {
		return errNoRecord
	}
	return each(&Line{})
}

// openObject hands on an object, or, with envelope, the payload that it holds as
// an object or as a text.
func openObject(b []byte, envelope bool, each func(*Line) error) error {
	var head struct {
		Schema, ID, Device, Room string
		ClientID                 string  `json:"client_id"`
		TsMs                     float64 `json:"ts_ms"`
		Replayed                 any
		Payload                  json.RawMessage
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	if envelope && head.Schema == "" && len(head.Payload) > 0 {
		b := []byte(head.Payload)
		var text string
		if json.Unmarshal(b, &text) == nil {
			b = []byte(text)
		}
		if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' {
			return openObject(b, false, each)
		}
		return each(&Line{})
	}
	kind, ok := strings.CutPrefix(head.Schema, "roomcall.")
	kind, version, _ := strings.Cut(kind, "/")
	if !ok || New(kind) == nil || !strings.HasPrefix(version, "1.") {
		return each(&Line{Bytes: b})
	}
	if head.ID == "" || head.ClientID == "" || head.Device == "" || head.TsMs == 0 {
		return errNoID
	}
	return each(&Line{Kind: kind, ID: head.ID, ClientID: head.ClientID, Device: head.Device, Room: head.Room, TsMs: int64(head.TsMs), Replayed: head.Replayed == 1.0, Bytes: b})
}

package view

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// maxLine bounds a line of the input in bytes.
const maxLine = 4 << 20

// What is wrong with a line, where the JSON decoder does not say it.
var (
	errLongLine = fmt.Errorf("longer than %d MiB", maxLine>>20)
	errNoRecord = errors.New("no JSON object")
	errNoID     = errors.New("a record without id, client_id, device or ts_ms")
	errUTF16    = errors.New("the input is UTF-16, as PowerShell writes it; write it as UTF-8, for example with buffer export --out FILE")
)

// BadLinesError: lines of the input could not be read. The document has the
// others.
type BadLinesError struct{ Bad, Lines int }

func (e *BadLinesError) Error() string {
	if e.Bad == 1 {
		return fmt.Sprintf("1 of %d lines could not be read and is left out", e.Lines)
	}
	return fmt.Sprintf("%d of %d lines could not be read and are left out", e.Bad, e.Lines)
}

// read reads all lines of the input. A line that cannot be read goes to
// Options.Bad and is left out. The error is a *BadLinesError, or that of the
// reader.
func (c *collector) read(in io.Reader) error {
	lines := lineReader{from: bufio.NewReaderSize(in, 64<<10)}
	if b, _ := lines.from.Peek(2); string(b) == "\xff\xfe" || string(b) == "\xfe\xff" {
		return errUTF16
	}
	var bad BadLinesError
	for {
		line, err := lines.next()
		switch {
		case err == io.EOF && bad.Bad > 0:
			return &bad
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, errLongLine):
			return fmt.Errorf("read line %d: %w", bad.Lines+1, err)
		case err == nil:
			err = c.line(line)
		}
		bad.Lines++
		if err == nil {
			continue
		}
		bad.Bad++
		if c.o.Bad != nil {
			c.o.Bad(bad.Lines, err)
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

// bareWords and bareEcho are the payloads that are no JSON and come along with
// "everything": availability, echo, and mosquitto_sub's word for an emptied topic.
var (
	bareWords = []string{"online", "offline", "lost", "(null)"}
	bareEcho  = regexp.MustCompile(`^[A-Z2-7]{26}$`)
)

// bareLine reads a line without an object; a topic may precede its word.
func (c *collector) bareLine(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil
	}
	word := b[bytes.LastIndexByte(b, ' ')+1:]
	if !slices.Contains(bareWords, string(word)) && !bareEcho.Match(word) {
		return errNoRecord
	}
	c.skipped++
	return nil
}

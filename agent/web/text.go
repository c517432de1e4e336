package web

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// WriteText writes the status as `roomcall status` shows it in a terminal. It
// holds no control characters, whatever an endpoint or a broker said.
func WriteText(w io.Writer, s Status, now time.Time) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "roomcall %s\t%s\tup %s\n", s.Version, s.ClientID, Age(time.Duration(s.UptimeS)*time.Second))
	fmt.Fprintf(tw, "broker\t%s\t%s\n", orUnknown(s.Broker.State), brokerLine(s.Broker, now))
	fmt.Fprintf(tw, "store\t%s\t%s\n", orUnknown(s.Buffer.State), bufferLine(s.Buffer, now))
	fmt.Fprintf(tw, "\nDEVICE\tSTATE\tGRADE\tPOLLED\tROOM\n")
	for _, e := range s.Endpoints {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", e.Device, orDash(e.State), orDash(e.Grade), ago(e.LastPoll, now), oneLine(e.Room))
	}
	tw.Flush()
	b.WriteByte('\n')
	writeProblems(&b, Problems(s, now))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeProblems(b *strings.Builder, all []Problem) {
	if len(all) == 0 {
		b.WriteString("All is well.\n")
	}
	for _, p := range all {
		mark := "warn"
		if p.Bad {
			mark = "FAIL"
		}
		fmt.Fprintf(b, "%s  %s\n", mark, oneLine(p.What))
		if p.Hint != "" {
			fmt.Fprintf(b, "      hint: %s\n", oneLine(p.Hint))
		}
	}
}

func brokerLine(b Broker, now time.Time) string {
	line := oneLine(b.URL) + fmt.Sprintf(", %d delivered", b.Acked)
	if !b.LastAck.IsZero() {
		line += ", last " + ago(b.LastAck, now)
	}
	if b.Proof != "" {
		line += ", delivery " + b.Proof
	}
	return line
}

func bufferLine(b Buffer, now time.Time) string {
	line := fmt.Sprintf("%d waiting", b.Waiting)
	if !b.Oldest.IsZero() {
		line += " (oldest " + ago(b.Oldest, now) + ")"
	}
	return line + fmt.Sprintf(", %s of %s", Bytes(b.BytesOnDisk), Bytes(b.MaxBytes))
}

// Age is a duration in words of two units at most: "12s", "3m05s", "2d4h".
func Age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, h, m, s := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, h)
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// Bytes is a size in words, with units of 1024: "256 MiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + [...]string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
}

// records counts in words: "1 record", "2 records".
func records[N int | uint64](n N) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Age(now.Sub(t)) + " ago"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine keeps text from others from moving the cursor or breaking the table.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/cgi"
)

// writePoll shows a status as a table: one row a stream, a dash for what the
// endpoint did not say.
func writePoll(out io.Writer, e config.Endpoint, st cgi.Status, took time.Duration, sample []byte) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  answered in %d ms\n", e.Device, callText(st), took.Milliseconds())
	var meaning struct{ Grade, Reasons string }
	_ = json.Unmarshal(sample, &struct {
		Grade   *string `json:"grade"`
		Reasons *string `json:"grade_reasons"`
	}{&meaning.Grade, &meaning.Reasons})
	if st.Call == cgi.CallActive {
		fmt.Fprintf(&b, "grade: %s%s\n", meaning.Grade, reasons(meaning.Reasons))
	}
	if st.SourceAPI != "" {
		fmt.Fprintf(&b, "source: %s\n", st.SourceAPI)
	}
	writeStreams(&b, st)
	for _, odd := range st.NotUnderstood {
		fmt.Fprintf(&b, "not understood: %s = %q\n", host.Printable(odd.Key), odd.Text)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func callText(st cgi.Status) string {
	text := map[cgi.CallState]string{cgi.CallActive: "in a call", cgi.CallIdle: "idle"}[st.Call]
	if text == "" {
		text = "call state unknown"
	}
	if st.JoinMinutes.Known && st.Call == cgi.CallActive {
		text += fmt.Sprintf(" for %g min", st.JoinMinutes.Value)
	}
	if st.Model != "" {
		text = host.Printable(st.Model) + ", " + text
	}
	return text
}

func reasons(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func writeStreams(b *strings.Builder, st cgi.Status) {
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	rows, assumed := 0, false
	row := func(name string, s cgi.Stream) {
		if !s.Active {
			return
		}
		if rows == 0 {
			fmt.Fprintln(w, "STREAM\tkbit/s\tLOSS %\tLOST\tJITTER ms\tDELAY ms\tFPS\tSIZE\tCODEC")
		}
		rows++
		assumed = assumed || s.WidthAssumed
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, num(s.BitrateKbps), num(s.LossPct),
			num(s.LossPackets), num(s.JitterMs), num(s.DelayMs), num(s.FPS), frameSize(s), dash(host.Printable(s.Codec)))
	}
	row("audio send", st.AudioSend)
	row("audio recv", st.AudioRecv)
	for i, s := range st.VideoSend {
		row(fmt.Sprintf("video send %d", i), s)
	}
	for i, s := range st.VideoRecv {
		row(fmt.Sprintf("video recv %d", i), s)
	}
	row("aux send", st.AuxSend)
	row("aux recv", st.AuxRecv)
	_ = w.Flush()
	switch {
	case rows == 0:
		b.WriteString("no active stream\n")
	case assumed:
		b.WriteString("* the endpoint says only the height; the width is by 16:9\n")
	}
}

func num(r cgi.Reading) string {
	if !r.Known {
		return "-"
	}
	return strconv.FormatFloat(r.Value, 'f', -1, 64)
}

func frameSize(s cgi.Stream) string {
	if s.Height == 0 {
		return "-"
	}
	if s.Width == 0 {
		return fmt.Sprintf("?x%d", s.Height)
	}
	mark := ""
	if s.WidthAssumed {
		mark = "*"
	}
	return fmt.Sprintf("%dx%d%s", s.Width, s.Height, mark)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

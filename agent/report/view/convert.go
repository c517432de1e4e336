package view

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"roomcall/agent/report/payload"
)

// Names lists the views.
func Names() []string { return []string{"zoom", "agora", "volc", "trtc"} }

// AgoraParts lists the parts of the agora view.
func AgoraParts() []string { return []string{"details", "lists", "live", "diagnosis"} }

// Options of Convert.
type Options struct {
	// Device: only this device's records, as device or client_id/device; "" = all.
	Device string
	// Part of the agora view: "" = all in one document, "details", "lists",
	// "live", "diagnosis".
	Part string
	// Approximate adds Agora's loss metrics, Suspected its exp_id.
	Approximate, Suspected bool
	// Granularity of the volc view: "5min" (also "") or "1d".
	Granularity string
	// Swap exchanges Zoom's input and output.
	Swap bool
	// Bad is called for each line that cannot be read, with its number from 1; nil
	// = nobody wants to know.
	Bad func(line int, err error)
	// Empty is called when the input has no record that is asked for, with the
	// devices that it has; nil = nobody wants to know.
	Empty func(devices []string)
}

// wants reports whether the records of a device are asked for.
func (o *Options) wants(client, device string) bool {
	return o.Device == "" || o.Device == device || o.Device == client+"/"+device
}

// Check rejects an unknown view, part or granularity.
func (o *Options) Check(to string) error {
	if !slices.Contains(Names(), to) {
		return fmt.Errorf("convert: unknown view %q, allowed are %s", to, strings.Join(Names(), ", "))
	}
	if o.Part != "" && !slices.Contains(AgoraParts(), o.Part) {
		return fmt.Errorf("convert: unknown part %q, allowed are %s", o.Part, strings.Join(AgoraParts(), ", "))
	}
	if o.Granularity != "" && Granularities[o.Granularity] == 0 {
		return fmt.Errorf("convert: unknown granularity %q, allowed are 5min, 1d", o.Granularity)
	}
	return nil
}

// ErrDevices: the zoom view speaks of one participant, and the input has more.
var ErrDevices = errors.New("the input has several devices and the zoom view speaks of one")

// Convert reads published or exported records, one JSON object a line, any
// kinds, in any order, duplicates allowed, and writes one document in the shape
// of the other system's reply. Blank lines are ignored. What is no record
// but belongs to roomcall's topics (availability, echo, birth, views) and objects
// of others are skipped and counted in _meta. When lines cannot be read,
// the document has the others, and the error is a
// *payload.BadLinesError.
func Convert(to string, in io.Reader, o Options) ([]byte, error) {
	if err := o.Check(to); err != nil {
		return nil, err
	}
	c := collector{o: o, seen: map[string]bool{}, book: callBook{}, others: map[string]bool{}, minutes: map[minuteKey]*payload.Minute{}}
	var bad *payload.BadLinesError
	if err := payload.ReadLines(in, o.Bad, c.line); err != nil && !errors.As(err, &bad) {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if len(c.seen) == 0 && o.Empty != nil {
		o.Empty(slices.Sorted(maps.Keys(c.others)))
	}
	f := c.facts()
	if devices := c.devices(); to == "zoom" && len(devices) > 1 {
		return nil, fmt.Errorf("convert: %w; choose one of %s", ErrDevices, strings.Join(devices, ", "))
	}
	doc, meta := Document(to, f, o)
	meta.Skipped = c.skipped
	b, err := payload.JSON(doc)
	if err == nil && bad != nil {
		err = fmt.Errorf("convert: %w", bad)
	}
	return b, err
}

// Document makes the document of a view from facts; meta is its _meta.
func Document(to string, f *Facts, o Options) (doc any, meta *Meta) {
	switch to {
	case "zoom":
		z := zoom(f, o.Swap)
		return z, z.Meta
	case "agora":
		a := agora(f, o)
		return a, a.Meta
	case "volc":
		v := volc(bucketsOf(f.Points, cmp.Or(o.Granularity, "5min")), cmp.Or(o.Granularity, "5min"))
		return v, v.Meta
	default:
		t := trtc(f)
		return t, t.Meta
	}
}

// VolcDocument makes the volc document of one finished bucket.
func VolcDocument(b Bucket, granularity string) *Volc { return volc([]Bucket{b}, granularity) }

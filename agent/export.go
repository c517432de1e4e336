package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"

	"roomcall/agent/web"
	"roomcall/buffer"
)

// bufferInfo is the JSON of `buffer info --json`.
type bufferInfo struct {
	Dir           string    `json:"dir"`
	Epoch         int64     `json:"epoch"`
	Waiting       uint64    `json:"waiting"`
	WaitingBytes  uint64    `json:"waiting_bytes"`
	Oldest        time.Time `json:"oldest,omitzero"`
	DeliveredKept uint64    `json:"delivered_kept"`
	Quarantined   int       `json:"quarantined"`
	DamagedFiles  int       `json:"damaged_files"` // kept aside for examination, whenever it was
	Segments      int       `json:"segments"`
	DiskBytes     int64     `json:"bytes_on_disk"`
	MaxBytes      int64     `json:"max_bytes,omitempty"`
	Damaged       []damaged `json:"damaged"`
}

// damaged is a broken file of the store and what became of its records.
type damaged struct {
	File     string `json:"file"` // inside dir
	Reason   string `json:"reason"`
	Salvaged uint64 `json:"salvaged"`
	Lost     uint64 `json:"lost"`            // with reset the least: nothing tells how many there were
	Reset    bool   `json:"reset,omitempty"` // numbers start again under a new epoch
}

func infoJSON(in buffer.Info) bufferInfo {
	out := bufferInfo{
		Dir: in.Dir, Epoch: in.Epoch, Waiting: in.Waiting, WaitingBytes: in.WaitingBytes,
		Oldest: in.Oldest, DeliveredKept: in.DeliveredKept, Quarantined: in.Quarantined, DamagedFiles: len(damagedFiles(in.Dir)),
		Segments: in.Segments, DiskBytes: in.DiskBytes, MaxBytes: in.MaxBytes, Damaged: []damaged{},
	}
	for _, d := range in.Damage {
		out.Damaged = append(out.Damaged, damaged{File: d.Aside, Reason: d.Reason, Salvaged: d.Salvaged, Lost: d.Lost, Reset: d.Reset})
	}
	return out
}

// exporter writes the payloads of the records that a filter chooses.
func exporter(ctx context.Context, w io.Writer, f web.Filter) func(buffer.Item, bool) error {
	return func(it buffer.Item, delivered bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !chosen(f, it, delivered) {
			return nil
		}
		_, err := w.Write(append(it.Payload, '\n'))
		return err
	}
}

func chosen(f web.Filter, it buffer.Item, delivered bool) bool {
	device, _, _ := strings.Cut(it.Lane, "/")
	switch {
	case delivered && !f.Delivered:
		return false
	case f.Device != "" && f.Device != device:
		return false
	case !f.Since.IsZero() && it.Time.Before(f.Since):
		return false
	case !f.Until.IsZero() && !it.Time.Before(f.Until):
		return false
	}
	return true
}

// exportDir exports a store that no agent has open.
func exportDir(ctx context.Context, dir string, w io.Writer, f web.Filter) error {
	out := bufio.NewWriter(w)
	if err := buffer.ScanDir(dir, exporter(ctx, out, f)); err != nil {
		return err
	}
	return out.Flush()
}

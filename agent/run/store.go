package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/record"
	"roomcall/agent/web"
	"roomcall/buffer"
)

// StoreInfo is the JSON of `buffer info --json`.
type StoreInfo struct {
	Dir           string    `json:"dir"`
	Epoch         int64     `json:"epoch"`
	Waiting       uint64    `json:"waiting"`
	WaitingBytes  uint64    `json:"waiting_bytes"`
	Oldest        time.Time `json:"oldest,omitzero"`
	DeliveredKept uint64    `json:"delivered_kept"`
	Quarantined   int       `json:"quarantined"`
	DamagedFiles  int       `json:"damaged_files"` // kept for examination, whenever it was
	Segments      int       `json:"segments"`
	DiskBytes     int64     `json:"bytes_on_disk"`
	MaxBytes      int64     `json:"max_bytes,omitempty"`
	Damaged       []Damaged `json:"damaged"`
}

// Damaged is a broken file of the store and what became of its records.
type Damaged struct {
	File     string `json:"file"` // inside dir
	Reason   string `json:"reason"`
	Salvaged uint64 `json:"salvaged"`
	Lost     uint64 `json:"lost"`            // with reset the least: how many there were is not known
	Reset    bool   `json:"reset,omitempty"` // numbers start again under a new epoch
}

// StoreInfoOf is the store's description of itself, as JSON.
func StoreInfoOf(in buffer.Info) StoreInfo {
	out := StoreInfo{
		Dir: in.Dir, Epoch: in.Epoch, Waiting: in.Waiting, WaitingBytes: in.WaitingBytes,
		Oldest: in.Oldest, DeliveredKept: in.DeliveredKept, Quarantined: in.Quarantined, DamagedFiles: len(DamagedFiles(in.Dir)),
		Segments: in.Segments, DiskBytes: in.DiskBytes, MaxBytes: in.MaxBytes, Damaged: []Damaged{},
	}
	for _, d := range in.Damage {
		out.Damaged = append(out.Damaged, Damaged{File: d.KeptAs, Reason: d.Reason, Salvaged: d.Salvaged, Lost: d.Lost, Reset: d.Reset})
	}
	return out
}

// Exporter writes the payloads of the records that a filter chooses.
func Exporter(ctx context.Context, w io.Writer, f web.Filter) func(buffer.Item, bool) error {
	return func(it buffer.Item, delivered bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if delivered && !f.Delivered || !f.Match(record.Device(it.Lane), it.Time) {
			return nil
		}
		_, err := w.Write(append(it.Payload, '\n'))
		return err
	}
}

// ExportDir exports a store that no agent has open. With an error what could be read
// has been written nevertheless; with buffer.ErrLocked nothing was.
func ExportDir(ctx context.Context, dir string, w io.Writer, f web.Filter) error {
	out := bufio.NewWriter(w)
	err := buffer.ScanDir(dir, Exporter(ctx, out, f))
	if errors.Is(err, buffer.ErrLocked) {
		return err
	}
	return errors.Join(err, out.Flush())
}

// Verdict is one checked file of the store.
type Verdict struct {
	File    string `json:"file"`
	Records uint64 `json:"records"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

// Verification is the JSON of `buffer verify --json`.
type Verification struct {
	OK    bool      `json:"ok"`
	Files []Verdict `json:"files"`
}

// VerificationOf is the result of a check of the store's files, as JSON.
func VerificationOf(list []buffer.Verdict) Verification {
	out := Verification{OK: true, Files: []Verdict{}}
	for _, v := range list {
		one := Verdict{File: v.Segment, Records: v.Records, OK: v.Err == nil}
		if v.Err != nil {
			one.Problem, out.OK = v.Err.Error(), false
		}
		out.Files = append(out.Files, one)
	}
	return out
}

// DamagedFiles are the files of the store in dir that were kept under another name for examination.
func DamagedFiles(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if strings.Contains(e.Name(), ".corrupt-") {
			names = append(names, e.Name())
		}
	}
	return names
}

// OpenError adds what to do about a store in dir that did not open. The store's
// own errors name what was tried and where.
func OpenError(dir string, err error) error {
	switch {
	case errors.Is(err, buffer.ErrLocked):
		return alreadyRunning(dir)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; %s", err, health.English.HintFor("store_not_writable", nil))
	default:
		return err
	}
}

// alreadyRunning names the process that has the store, where the system tells.
func alreadyRunning(dir string) error {
	who := "another roomcall"
	if pid := host.LockHolder(filepath.Join(dir, "LOCK")); pid > 0 {
		who = fmt.Sprintf("process %d", pid)
	}
	return &lockedError{fmt.Sprintf("open store %s: already running: %s holds it; stop that one, or give this one a data_dir of its own", dir, who)}
}

// lockedError is buffer.ErrLocked in words.
type lockedError struct{ text string }

func (e *lockedError) Error() string { return e.text }

// Unwrap is buffer.ErrLocked.
func (e *lockedError) Unwrap() error { return buffer.ErrLocked }

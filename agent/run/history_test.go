package run

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/web"
	"roomcall/buffer"
)

// withHub is an agent that says that it has an endpoint.
type withHub struct{ *Agent }

func (withHub) Status() health.Status {
	return health.Status{Endpoints: []health.Endpoint{{Device: "hub"}}}
}

// restored is what of "loss" the page of an agent shows, after a store with four samples,
// of which the first is older than a day, was read.
func restored(t *testing.T, ctx context.Context, records uint64) string {
	t.Helper()
	log := &hosttest.Log{}
	a := agentOn(t, func() {}, log.Logger())
	a.history = web.NewHistory([]string{"hub"})
	var batch buffer.Batch
	now := time.Now()
	for i, age := range []time.Duration{25 * time.Hour, 40 * time.Minute, 30 * time.Minute, 20 * time.Minute} {
		at := now.Add(-age)
		batch.Records = append(batch.Records, buffer.Record{Lane: "hub/sample", Num: uint64(i + 1), Time: at,
			Payload: fmt.Appendf(nil, `{"ts_ms":%d,"endpoint_state_code":1,"audio_send_loss_pct":%d}`, at.UnixMilli(), i+1)})
	}
	if err := a.queue.Append(batch); err != nil {
		t.Fatal(err)
	}
	if err := a.queue.Ack(3); err != nil { // delivered ones are read too
		t.Fatal(err)
	}
	a.restoreHistory(ctx, records)
	server, err := web.Listen("127.0.0.1:0", withHub{a}, web.Options{History: a.history})
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(serving) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	answer, err := http.Get("http://" + server.Addr() + "/api/v1/history?device=hub")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, readings, _ := strings.Cut(string(body), `"audio_send_loss_pct":`)
	readings, _, _ = strings.Cut(readings, "]")
	return readings
}

func TestTheHistoryIsReadBackWithinItsBounds(t *testing.T) {
	if got := restored(t, t.Context(), 100); got != "[2,3,4" {
		t.Errorf("of a day came %q", got)
	}
	if got := restored(t, t.Context(), 2); got != "[3,4" {
		t.Errorf("of the two newest records came %q", got)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if got := restored(t, ended, 100); got == "[2,3,4" {
		t.Error("the end of the agent did not end it")
	}
}

func TestTheKeyIsMadeOnceAndBelongsToTheAgent(t *testing.T) {
	dir := t.TempDir()
	if _, err := LocalKey(dir); err == nil {
		t.Error("a key where no agent ever ran")
	}
	key, err := makeLocalKey(dir)
	again, err2 := makeLocalKey(dir)
	read, err3 := LocalKey(dir)
	if err != nil || err2 != nil || err3 != nil || len(key) != 64 || again != key || read != key {
		t.Errorf("keys %q %q %q, errors %v %v %v", key, again, read, err, err2, err3)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	if _, err := makeLocalKey(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("no error where it cannot be made")
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := makeLocalKey(dir); err != nil || len(key) != 64 {
		t.Errorf("a key that is cut: %q, %v", key, err)
	}
}

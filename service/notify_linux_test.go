package service

import (
	"context"
	"net"
	"path/filepath"
	"testing"
)

func TestRunSpeaksToTheNotifySocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000000")
	next := func() string {
		buf := make([]byte, 4096)
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- Run(ctx, Options{Name: "roomcall"}, untilStopped) }()
	if got := next(); got != "READY=1" {
		t.Errorf("first heard %q", got)
	}
	cancel()
	if got := next(); got != "STOPPING=1\nSTATUS=stopping" {
		t.Errorf("then heard %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunInATerminalOnlyDoesTheWork(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	worked := false
	err := Run(t.Context(), Options{Name: "roomcall"}, func(_ context.Context, ready func()) error {
		ready()
		worked = true
		return nil
	})
	if err != nil || !worked {
		t.Errorf("worked %v, %v", worked, err)
	}
}

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomcall/agent/host"
)

// asking is an initializer whose questions are answered from in.
func asking(t *testing.T, in io.Reader) (*initializer, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	return &initializer{
		app: &app{stdout: &said, stderr: &said, getenv: os.Getenv}, ask: bufio.NewReader(in),
		path: filepath.Join(t.TempDir(), "agent.toml"),
	}, &said
}

func TestInitAsksAPersonAgainForWhatCannotBeRight(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("\ufeffhunter2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i, said := asking(t, strings.NewReader(strings.Join([]string{
		"", "192.0.2.7", "https://192.0.2.7", "api", "hunter2", secret, "Room", "broker", "tls://broker.example", "", "",
	}, "\n")+"\n"))
	i.person = true
	if err := i.complete(t.Context()); err != nil {
		t.Fatal(err, said)
	}
	if i.in.url != "https://192.0.2.7" || i.in.secretFile != secret || i.in.broker != "tls://broker.example" {
		t.Errorf("took %+v", i.in)
	}
	for _, want := range []string{"an answer is needed", `found "192.0.2.7"; allowed: https://ADDR`, "not the password itself", `found "broker"; allowed: tcp://`} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said.String(), "hunter2") || strings.Contains(said.String(), "roomcall-init-") {
		t.Errorf("says too much:\n%s", said)
	}
	if got, err := host.FirstLine(secret); got != "hunter2" {
		t.Errorf("secret %q, err %v", got, err)
	}
}

func TestInitEndsAtAScriptsWrongAnswer(t *testing.T) {
	i, _ := asking(t, strings.NewReader("192.0.2.7\nhttps://192.0.2.7\n"))
	err := i.complete(t.Context())
	var usage usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "Endpoint address") || !strings.Contains(err.Error(), "allowed: https://ADDR") {
		t.Errorf("got %v", err)
	}
}

func TestCtrlCEndsAQuestionOfInit(t *testing.T) {
	in, keyboard := io.Pipe()
	i, said := asking(t, in)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := i.write(ctx)
	keyboard.Close() // ends the read, as the end of the process does
	if !errors.Is(err, errInterrupted) || (&app{stderr: said}).exit(err) != exitFail {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(filepath.Dir(i.path)); len(files) != 0 {
		t.Errorf("left %v", files)
	}
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"roomcall/agent/config"
	"roomcall/agent/host"
)

var (
	errNoAnswer    = errors.New("no answer")
	errInterrupted = errors.New("interrupted; no config was written")
)

// initQuestion is one question of init.
type initQuestion struct {
	text  string
	to    *string
	wrong func(*initializer, string) error // nil = any text is good
}

// complete asks for what no flag gave. A person is asked again when an answer
// cannot be right; of a script the first wrong answer ends it.
func (i *initializer) complete(ctx context.Context) error {
	if i.in.yes {
		return nil
	}
	for _, q := range []initQuestion{
		{"Endpoint address, for example https://192.0.2.10", &i.in.url, (*initializer).wrongURL},
		{"User of the endpoint (empty = no login)", &i.in.username, nil},
		{"File with that user's password (empty = none)", &i.in.secretFile, (*initializer).wrongFile},
		{"Room name", &i.in.room, nil},
		{"Broker, for example tls://broker.example.org", &i.in.broker, (*initializer).wrongBroker},
		{"User of the broker (empty = none)", &i.in.mqttUser, nil},
		{"File with the broker user's password (empty = none)", &i.in.mqttSecretFile, (*initializer).wrongFile},
	} {
		if err := i.answer(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// answer asks one question until its answer can be right.
func (i *initializer) answer(ctx context.Context, q initQuestion) error {
	for *q.to == "" {
		answer, err := i.question(ctx, q.text)
		if err != nil {
			return err
		}
		if q.wrong != nil {
			err = q.wrong(i, answer)
		}
		switch {
		case err == nil:
			*q.to = answer
			return nil
		case !i.person:
			return usageError{fmt.Errorf("answer to %q: %w", q.text, err)}
		}
		fmt.Fprintf(i.stderr, "%v\n", err)
	}
	return nil
}

// question asks one line. Ctrl-C ends it, although a read of standard input
// cannot be ended: that read is left to the end of the process.
func (i *initializer) question(ctx context.Context, text string) (string, error) {
	fmt.Fprintf(i.stdout, "%s: ", text)
	type reply struct {
		line string
		err  error
	}
	came := make(chan reply, 1)
	go func() {
		line, err := i.ask.ReadString('\n')
		came <- reply{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(i.stdout)
		return "", errInterrupted
	case r := <-came:
		if r.err != nil && (r.line == "" || !errors.Is(r.err, io.EOF)) {
			return "", usageError{fmt.Errorf("read answer to %q: %w; flags can answer, see --help", text, errNoAnswer)}
		}
		return strings.TrimSpace(r.line), nil
	}
}

// wrongFile: a file with a secret cannot be read.
func (i *initializer) wrongFile(path string) error {
	if path == "" {
		return nil
	}
	_, err := host.FirstLine(path)
	var place *os.PathError
	if errors.As(err, &place) {
		err = place.Err // what was typed may be the password: it is not said again
	}
	if err != nil {
		return fmt.Errorf("read that file: %w; the name of a file is asked for, not the password itself", err)
	}
	return nil
}

func (i *initializer) wrongURL(answer string) error {
	return wrongIn("endpoint[1].url", initAnswers{url: answer})
}

func (i *initializer) wrongBroker(answer string) error {
	return wrongIn("mqtt.broker", initAnswers{broker: answer})
}

// wrongIn is what the config would say of one key, without the place: the
// person has no file yet.
func wrongIn(key string, in initAnswers) error {
	if in.url == "" && in.broker == "" {
		return errors.New("an answer is needed here")
	}
	in.url, in.broker = cmp.Or(in.url, "https://192.0.2.1"), cmp.Or(in.broker, "tcp://192.0.2.1")
	f, err := os.CreateTemp("", "roomcall-init-*.toml")
	if err != nil {
		return nil // the config itself is checked in any case
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString((&initializer{in: in}).text())
	if err = errors.Join(err, f.Close()); err != nil {
		return nil
	}
	_, _, err = config.Load(f.Name(), config.Options{})
	var list config.Errors
	if !errors.As(err, &list) {
		return nil
	}
	for _, e := range list {
		if e.Key == key {
			bare := *e
			bare.Place = config.Place{}
			return errors.New(strings.TrimPrefix(bare.Error(), ": "))
		}
	}
	return nil
}

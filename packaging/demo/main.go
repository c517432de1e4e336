// Command demo shows roomcall's main job in a terminal without a real endpoint or
// broker: a simulated endpoint, an embedded MQTT broker, the real agent in its own
// process, and a subscriber that prints what arrives. A call gets a bad uplink and
// recovers, and the broker stops for a while. At the end it checks that every poll
// arrived, and shows what `roomcall report` says of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Lengths of the demo's phases; with start and drain they stay well below a minute.
const (
	actLive   = 12 * time.Second
	actOutage = 9 * time.Second
	actAfter  = 7 * time.Second
	patience  = 20 * time.Second // timeout for anything that has to happen
)

func main() {
	agent := flag.String("agent", "bin/roomcall", "the roomcall binary")
	keep := flag.Bool("keep", false, "continue until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *agent, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, keep bool) error {
	stage, err := newStage(binary)
	if err != nil {
		return err
	}
	defer stage.clear()
	if err := stage.play(ctx, keep); err != nil && ctx.Err() == nil {
		stage.printAgentLog()
		return err
	}
	return stage.finish()
}

// play runs the phases. It returns early when ctx ends.
func (s *stage) play(ctx context.Context, keep bool) error {
	s.say("simulated endpoint on %s, broker on %s, polling once a second", s.endpointURL, s.brokerURL)
	s.say("the agent's status page: http://%s/", s.httpAddr)
	if err := s.startAgent(); err != nil {
		return err
	}
	if err := s.wait(ctx, actLive); err != nil {
		return err
	}
	s.say("broker stops; polling continues, records wait on disk")
	s.broker.stop()
	if err := s.showBacklog(ctx, actOutage); err != nil {
		return err
	}
	s.say("broker starts again; the backlog drains (marked replayed)")
	if err := s.broker.start(); err != nil {
		return err
	}
	if err := s.awaitDrained(ctx); err != nil {
		return err
	}
	if keep {
		s.say("continuing until Ctrl-C")
		<-ctx.Done()
		return nil
	}
	return s.wait(ctx, actAfter)
}

// wait lets time pass; the agent must not end meanwhile.
func (s *stage) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-s.agentEnded:
		return fmt.Errorf("the agent ended by itself: %w", err)
	case <-t.C:
		return nil
	}
}

// showBacklog prints what waits in the store every two seconds.
func (s *stage) showBacklog(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := s.wait(ctx, 2*time.Second); err != nil {
			return err
		}
		waiting, err := s.waiting(ctx)
		if err != nil {
			return err
		}
		s.say("backlog: %d records wait on disk", waiting)
	}
	return nil
}

// awaitDrained waits until nothing waits in the store.
func (s *stage) awaitDrained(ctx context.Context) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		waiting, err := s.waiting(ctx)
		if err != nil {
			return err
		}
		if waiting == 0 {
			s.say("backlog: 0 records wait")
			return nil
		}
		if err := s.wait(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the backlog was not drained within %s", patience)
}

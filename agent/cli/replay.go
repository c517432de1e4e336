package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/run"
	"roomcall/buffer"
	"roomcall/publish"
)

type replayFlags struct {
	since, until, device string
	setAside             bool
}

func (a *app) bufferReplayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay --since TIME",
		Short: "Send delivered records that are still kept again",
		Long: `Sends delivered records that are still kept ([buffer] keep_delivered) again, for
a broker or a database that lost them. They keep their ids and carry
replayed = 1. With the agent running, the agent sends them; the request is a
file in data_dir, so this needs the right to write there.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := f.request()
			if err != nil {
				return usageError{err}
			}
			cfg, _, err := a.look()
			if err != nil {
				return err
			}
			return a.replay(cmd.Context(), cfg, req)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.since, "since", "", "records of this time (RFC 3339, ts_ms, or 10m = ten minutes ago) or later")
	fl.StringVar(&f.until, "until", "", "only records before this time (the same forms)")
	fl.StringVar(&f.device, "device", "", "only this device")
	fl.BoolVar(&f.setAside, "set-aside", false, "put quarantined records back into the queue")
	return cmd
}

func (f replayFlags) request() (req drain.ReplayRequest, err error) {
	if f.since == "" && !f.setAside {
		return req, errors.New("buffer replay needs --since TIME or --set-aside")
	}
	req = drain.ReplayRequest{Device: f.device, Requeue: f.setAside}
	var err2 error
	req.Since, err = parseTime("--since", f.since)
	req.Until, err2 = parseTime("--until", f.until)
	if !req.Until.IsZero() && !req.Until.After(req.Since) {
		err2 = errors.Join(err2, errors.New("--until must be after --since"))
	}
	return req, errors.Join(err, err2)
}

func (a *app) replay(ctx context.Context, cfg *config.Config, req drain.ReplayRequest) error {
	result, err := a.replayHere(ctx, cfg, req)
	if errors.Is(err, buffer.ErrLocked) {
		result, err = drain.AskReplay(ctx, cfg.Agent.DataDir, req)
	}
	if err == nil && result.Err != "" {
		err = errors.New(result.Err)
	}
	if err != nil {
		return fmt.Errorf("replay (%d records were sent again, %d put back into the queue): %w", result.Sent, result.Requeued, err)
	}
	_, err = fmt.Fprintf(a.stdout, "%d records sent again, %d put back into the queue\n", result.Sent, result.Requeued)
	return err
}

// replayHere opens the store and the broker itself; no agent runs.
func (a *app) replayHere(ctx context.Context, cfg *config.Config, req drain.ReplayRequest) (out drain.ReplayResult, err error) {
	if _, err := buffer.InfoDir(cfg.Agent.DataDir); err != nil {
		return out, storeError(cfg, err)
	}
	opts := run.StoreOptions(cfg)
	opts.Context = ctx
	q, err := buffer.Open(opts)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	if cfg, _, err = a.load(); err != nil { // now with the secrets
		return out, err
	}
	client, err := publish.New(run.PublishConfig(cfg))
	if err != nil {
		return out, err
	}
	conn, err := drain.Client{Client: client}.Connect(ctx)
	if err != nil {
		return out, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	conn.WaitProof(ctx)
	r := &drain.Replayer{
		Queue: q, Window: cfg.MQTT.MaxInflight, ReplayRate: cfg.MQTT.ReplayRate,
		Topic: client.Topic, Conn: func() drain.Conn { return conn },
	}
	return r.Replay(ctx, req)
}

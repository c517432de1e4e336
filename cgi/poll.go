package cgi

import (
	"context"
	"errors"
	"time"
)

// siteSystem is the siteHandle that asks for the state of the whole system, as
// opposed to one site of the built-in MCU.
const siteSystem = 255

// Poll asks for the call's state. It sends the multi-stream status request and
// the mailbox request, which is the keep-alive too; where there is no
// multi-stream media and the mailbox says "in a call", or never says anything,
// the single-stream request also.
// It logs in when there is no session, and once anew when the endpoint no
// longer accepts the session. An error is always an *Error.
//
// While a login is paused (see Error.Kind refused and busy), Poll returns the
// remembered error at once and sends nothing.
func (c *Client) Poll(ctx context.Context) (Status, error) {
	if err := c.acquire(ctx); err != nil {
		return Status{}, err
	}
	defer c.release()
	st, err := c.poll(ctx)
	if err != nil {
		return Status{Raw: st.Raw}, err
	}
	c.worked()
	st.Model, st.ThrownOut = c.model, c.pause.thrownOut
	st.ClockAhead = Reading{Value: c.clockAhead.Seconds(), Known: c.clockKnown}
	return st, nil
}

func (c *Client) poll(ctx context.Context) (Status, *Error) {
	if err := c.ready(ctx); err != nil {
		return Status{}, err
	}
	st, err := c.ask(ctx)
	if err == nil || !err.lostSession() || !c.session.open() {
		return st, err
	}
	c.loseSession()
	if err := c.ready(ctx); err != nil {
		return Status{}, err
	}
	if st, err = c.ask(ctx); err != nil && err.lostSession() {
		err.Kind, err.Reason = KindRefused, "session_lost"
		c.loseSession()
	}
	return st, err
}

// ask sends the requests of one poll and decides over what they say. The numbers
// of what the endpoint refused go along, whatever the decision.
func (c *Client) ask(ctx context.Context) (Status, *Error) {
	c.said = nil
	st, err := c.decide(ctx)
	id, code, more := &st.ErrID, &st.ErrCode, &st.NotUnderstood
	if err != nil {
		id, code, more = &err.ID, &err.Code, &err.NotUnderstood
	} else {
		c.scrubQuirks(st.NotUnderstood)
	}
	for _, said := range c.said {
		if *id == 0 && *code == 0 {
			*id, *code = said.ID, said.Code
		}
		if err == nil || len(*more) == 0 {
			*more = append(*more, said.NotUnderstood...)
		}
	}
	*more = (*more)[:min(len(*more), maxQuirks)]
	return st, err
}

func (c *Client) decide(ctx context.Context) (Status, *Error) {
	if c.pause.upgrade {
		return c.askUpgrading(ctx)
	}
	raw, err := c.read(ctx, multiCallAction, nil)
	if err != nil {
		return Status{}, err
	}
	st, perr := parseMultiCall(raw)
	media := c.located(multiCallAction, perr)
	switch {
	case media != nil && !media.saysNothing():
		return Status{Raw: raw}, media
	case media != nil:
		st = Status{SourceAPI: multiCallAction, Raw: raw}
	}
	mb, err := c.mailbox(ctx)
	st.NotUnderstood = append(st.NotUnderstood, mb.NotUnderstood...)
	if st.ErrID == 0 && st.ErrCode == 0 {
		st.ErrID, st.ErrCode = mb.ErrID, mb.ErrCode
	}
	refused := err != nil && err.Reason == "api_error"
	switch {
	case st.hasMedia():
		if err != nil {
			st.NotUnderstood = append(st.NotUnderstood, Quirk{Key: mailboxAction, Text: err.Reason})
		}
		st.Call = CallActive
		return st, nil
	case mb.Upgrading:
		return Status{}, c.pauseForUpgrade()
	case err == nil && mb.Call == CallActive:
		return c.singleCall(ctx, st, CallActive)
	case err == nil:
		st.Call = mb.Call
		return st, nil
	case refused && media != nil && media.Reason == "api_error":
		return Status{}, c.refusal(media)
	case !err.saysNothing():
		return Status{}, err
	// A mailbox that answered before and refuses now has lost the session, or fails:
	// that says nothing about the call.
	case c.session.mailbox && refused && c.session.open():
		return Status{}, c.refusal(err)
	case c.session.mailbox:
		return Status{}, err
	}
	// A mailbox that never answered is not going to. No media at all is no call then,
	// because the vendor has values "only after joining".
	return c.singleCall(ctx, st, CallIdle)
}

// saysNothing tells that a reply means "no media to speak of" and not a broken
// endpoint. The vendor documents the values inside a multi-stream conference only
// and not what comes outside one; it may be a refusal ("api_error", with the
// endpoint's id and code), success with nothing in it ("no_data"), or a status
// whose streams are all inactive (no error at all, see Status.hasMedia). Whether
// the room is in a call is then for the mailbox to say. A reply without any
// envelope is a failure, not a statement.
func (e *Error) saysNothing() bool {
	return (e.Reason == "no_data" || e.Reason == "api_error") && !errors.Is(e, errEmpty)
}

// refusal is what the refusal of both requests, or of a mailbox that answered
// before, means: the session is over, or there is none and the endpoint wants
// one. No vendor's page says so; public clients understand it like that.
func (c *Client) refusal(refused *Error) *Error {
	out := *refused
	out.Kind, out.Hint = KindRefused, hintWantsLogin
	if c.session.open() {
		out.Reason, out.Hint = "session_lost", hintSessionLost
	}
	return &out
}

// singleCall asks for the values of a call without multi-stream. Without any,
// the verdict is otherwise: in a call of which no media is known, or idle.
func (c *Client) singleCall(ctx context.Context, multi Status, otherwise CallState) (Status, *Error) {
	multi.Call = otherwise
	raw, err := c.read(ctx, singleCallAction, map[string]any{"siteHandle": siteSystem})
	if err != nil {
		return Status{}, err
	}
	st, perr := parseSingleCall(raw)
	if failed := c.located(singleCallAction, perr); failed != nil {
		if failed.saysNothing() {
			return multi, nil
		}
		return Status{}, failed
	}
	if !st.hasMedia() {
		return multi, nil
	}
	st.Call = CallActive
	st.NotUnderstood = append(multi.NotUnderstood, st.NotUnderstood...)
	if multi.ErrID != 0 || multi.ErrCode != 0 {
		st.ErrID, st.ErrCode = multi.ErrID, multi.ErrCode
	}
	return st, nil
}

// mailbox sends the mailbox request, which keeps the session alive.
func (c *Client) mailbox(ctx context.Context) (mailbox, *Error) {
	raw, err := c.read(ctx, mailboxAction, nil)
	if err != nil {
		return mailbox{}, err
	}
	mb, perr := parseMailbox(raw)
	if failed := c.located(mailboxAction, perr); failed != nil {
		return mailbox{}, failed
	}
	c.session.refreshed, c.session.mailbox = c.now(), true
	return mb, nil
}

// upgradePause is the time between two looks at an endpoint that upgrades.
const upgradePause = 30 * time.Second

func (c *Client) pauseForUpgrade() *Error {
	err := &Error{
		Kind: KindUpgrading, Action: mailboxAction, URL: c.origin, Reason: "upgrading", Hint: hintUpgrading,
	}
	c.pause.start(err, c.now().Add(upgradePause))
	c.pause.upgrade = true
	return err
}

// askUpgrading looks at the mailbox alone, and polls as usual once the upgrade
// is over.
func (c *Client) askUpgrading(ctx context.Context) (Status, *Error) {
	mb, err := c.mailbox(ctx)
	if err == nil && mb.Upgrading {
		return Status{}, c.pauseForUpgrade()
	}
	c.pause = pause{}
	if err != nil && !err.saysNothing() {
		return Status{}, err
	}
	return c.decide(ctx)
}

// read sends a reading action and returns its reply.
func (c *Client) read(ctx context.Context, action string, fields map[string]any) ([]byte, *Error) {
	out, err := c.post(ctx, c.reading, action, c.fields(fields))
	return out.body, err
}

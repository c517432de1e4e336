package cgi

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// skew is how far an endpoint's clock is ahead of ours, by the header Date of
// its last reply (RFC 9110, 6.6.1: whole seconds).
type skew struct {
	ahead time.Duration
	known bool
}

// maxSkew is the difference from which two clocks no longer show the same
// minute: the endpoint's own records and those of cloud systems can then not be
// laid beside ours.
const maxSkew = time.Minute

// noteDate takes the time that a reply says, zero = it says none.
func (c *Client) noteDate(at time.Time) {
	if !at.IsZero() {
		c.clock = skew{ahead: at.Sub(c.now()), known: true}
	}
}

// clockStage compares the endpoint's clock with this machine's. It does not know
// which of the two is right.
func (p *prober) clockStage(ctx context.Context, _ *url.URL) Stage {
	c := p.c
	if err := c.acquire(ctx); err != nil {
		return p.failed("clock", err)
	}
	defer c.release()
	if !c.clock.known {
		return Stage{}
	}
	s := Stage{Name: "clock", OK: true, Detail: "the endpoint's clock " + c.clock.String()}
	if c.clock.ahead.Abs() > maxSkew {
		s.Warn = true
		s.Hint = "one of the two clocks is wrong: give this machine and the endpoint a time server (NTP); records carry this machine's time"
	}
	return s
}

func (s skew) String() string {
	off := s.ahead.Round(time.Second)
	switch {
	case off.Abs() <= 2*time.Second: // as near as a header in whole seconds shows
		return "shows the same time as this machine's"
	case off > 0:
		return fmt.Sprintf("is %v ahead of this machine's", off)
	}
	return fmt.Sprintf("is %v behind this machine's", -off)
}

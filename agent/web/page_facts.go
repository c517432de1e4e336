package web

import (
	"fmt"
	"time"

	"roomcall/agent/health"
)

func (d *doc) broker(b health.Broker, now time.Time) {
	d.add(markup("<section>\n<h2>Broker</h2>\n<dl>\n"))
	state := health.OrUnknown(b.State)
	if !b.Since.IsZero() {
		state += " for " + health.Age(now.Sub(b.Since))
	}
	d.row("State", state)
	d.row("Address", b.URL)
	d.row("Delivery", health.Sentence(proofWords(b.Proof), b.ProofDetail))
	d.row("Delivered", health.Records(b.Acked)+lastAck(b, now))
	d.row("In flight", fmt.Sprint(b.InFlight))
	d.row("Connections", fmt.Sprintf("%d made, %d lost", b.Connects, b.Losses))
	d.row("Error", b.Error)
	d.add(markup("</dl>\n</section>\n"))
}

func lastAck(b health.Broker, now time.Time) string {
	if b.LastAck.IsZero() {
		return ""
	}
	return ", the last " + health.Ago(b.LastAck, now)
}

func proofWords(proof string) string {
	switch proof {
	case "proven":
		return "proven: the broker handed a test message back"
	case "unproven":
		return "not proven: no right to read the echo topic"
	case "failed":
		return "FAILED: acknowledged, but not handed back"
	case "pending":
		return "being checked"
	}
	return "not checked yet"
}

func (d *doc) buffer(b health.Buffer, now time.Time) {
	d.add(markup("<section>\n<h2>Store</h2>\n<dl>\n"))
	d.row("State", health.OrUnknown(b.State))
	waiting := health.Records(b.Waiting)
	if !b.Oldest.IsZero() {
		waiting += ", the oldest from " + health.Ago(b.Oldest, now)
	}
	d.row("Waiting", waiting)
	d.row("Delivered and kept", health.Records(b.DeliveredKept))
	d.row("On disk", health.Bytes(b.BytesOnDisk)+" of "+health.Bytes(b.MaxBytes)+fmt.Sprintf(" in %d files", b.Segments))
	if b.DiskFree != nil {
		d.row("Free on the disk", health.Bytes(*b.DiskFree))
	}
	d.row("Thrown away", count(b.Evicted))
	d.row("Set aside", count(b.Quarantined))
	if b.DamagedFiles > 0 {
		d.row("Damaged, kept aside", fmt.Sprintf("%d files", b.DamagedFiles))
	}
	d.row("Error", b.Error)
	d.add(markup("</dl>\n</section>\n"))
}

// count leaves a zero out.
func count(n uint64) string {
	if n == 0 {
		return ""
	}
	return health.Records(n)
}

func (d *doc) agent(s health.Status, now time.Time) {
	d.add(markup("<section>\n<h2>Agent</h2>\n<dl>\n"))
	d.row("Version", s.Version)
	d.row("Client id", s.ClientID)
	d.row("Site", s.Site)
	d.row("Running for", health.Age(time.Duration(s.UptimeS)*time.Second))
	d.row("Started because of", s.StartReason)
	d.row("Config", s.ConfigPath)
	d.row("Page made", now.UTC().Format("2006-01-02 15:04:05 UTC"))
	d.add(markup("</dl>\n<p class=\"dim\"><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status as JSON</a> · " +
		"<a href=\"/readyz\">ready?</a></p>\n</section>\n"))
}

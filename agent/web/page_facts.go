package web

import (
	"fmt"
	"time"
)

func (d *doc) broker(b Broker, now time.Time) {
	d.add(markup("<section>\n<h2>Broker</h2>\n<dl>\n"))
	state := orUnknown(b.State)
	if !b.Since.IsZero() {
		state += " for " + Age(now.Sub(b.Since))
	}
	d.row("State", state)
	d.row("Address", b.URL)
	d.row("Delivery", sentence(proofWords(b.Proof), b.ProofDetail))
	d.row("Delivered", records(b.Acked)+lastAck(b, now))
	d.row("In flight", fmt.Sprint(b.InFlight))
	d.row("Connections", fmt.Sprintf("%d made, %d lost", b.Connects, b.Losses))
	d.row("Error", b.Error)
	d.add(markup("</dl>\n</section>\n"))
}

func lastAck(b Broker, now time.Time) string {
	if b.LastAck.IsZero() {
		return ""
	}
	return ", the last " + ago(b.LastAck, now)
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

func (d *doc) buffer(b Buffer, now time.Time) {
	d.add(markup("<section>\n<h2>Store</h2>\n<dl>\n"))
	d.row("State", orUnknown(b.State))
	waiting := records(b.Waiting)
	if !b.Oldest.IsZero() {
		waiting += ", the oldest from " + ago(b.Oldest, now)
	}
	d.row("Waiting", waiting)
	d.row("Delivered and kept", records(b.DeliveredKept))
	d.row("On disk", Bytes(b.BytesOnDisk)+" of "+Bytes(b.MaxBytes)+fmt.Sprintf(" in %d files", b.Segments))
	if b.DiskFree != nil {
		d.row("Free on the disk", Bytes(*b.DiskFree))
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
	return records(n)
}

func (d *doc) agent(s Status, now time.Time) {
	d.add(markup("<section>\n<h2>Agent</h2>\n<dl>\n"))
	d.row("Version", s.Version)
	d.row("Client id", s.ClientID)
	d.row("Site", s.Site)
	d.row("Running for", Age(time.Duration(s.UptimeS)*time.Second))
	d.row("Started because of", s.StartReason)
	d.row("Config", s.ConfigPath)
	d.row("Page made", now.UTC().Format("2006-01-02 15:04:05 UTC"))
	d.add(markup("</dl>\n<p class=\"dim\"><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status as JSON</a> · " +
		"<a href=\"/readyz\">ready?</a></p>\n</section>\n"))
}

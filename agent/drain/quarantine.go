package drain

import "time"

const (
	// poisonAfter connections lost in a row with the same record first in
	// line, that record is set aside.
	poisonAfter = 3
	// suspectAfter such connections the record goes alone, and only over a
	// connection that has lived for suspectSteady: so a network that resets
	// often sets no innocent record aside.
	suspectAfter  = 2
	suspectSteady = 5 * time.Second
)

// poison finds the record at which the broker cuts the connection. A broker's
// reset may overtake the acknowledgements of good records, so what stood first in
// a wide window need not be the culprit: after a suspicion the records that were
// in flight go in a window of 1, 2, 4 and so on. If that connection is lost, too,
// those that were in flight then go one at a time. So three losses find it, three
// more when each reset overtakes all acknowledgements.
type poison struct {
	pos   uint64 // which record stood first in line at the last loss
	count int    // of losses in a row with it

	until uint64 // up to this position one of the window's records is suspected
	alone bool   // they go one at a time
	width int    // else that many, doubled with each settled record
}

// limit is the window for the records behind next.
func (p *poison) limit(next uint64, window int) int {
	switch {
	case p.count >= suspectAfter:
		return 1
	case next >= p.until:
		return window
	case p.alone:
		return 1
	}
	return min(p.width, window)
}

// settled notes that the broker has confirmed a record.
func (p *poison) settled() {
	p.count = 0
	p.width = min(2*p.width, 1<<16)
}

// waits tells whether a record goes over a steady connection only.
func (p *poison) waits(pos uint64) bool { return p.pos == pos && p.count >= suspectAfter }

// lost notes the loss of a connection with the records from head to last in
// flight. It tells whether head has to be set aside.
func (p *poison) lost(head, last uint64) bool {
	if p.pos != head {
		p.pos, p.count = head, 0
	}
	p.count++
	switch {
	case head <= p.until && p.alone:
	case head <= p.until:
		p.until, p.alone = last, true
	case p.count >= suspectAfter:
		p.until, p.alone, p.width = last, false, 1
	}
	return p.count >= poisonAfter
}

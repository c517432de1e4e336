package cgi

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// Some texts of a reply are chosen by the far end or by whoever set the room up: the
// names of sites, and what the mailbox keeps for the web pages. Firmware that puts them into JSON as they are
// makes JSON that is broken, or that says something else, as soon as one of them has
// a quote in it. Such a text must not blind a room: a reply that is not as it should
// be gets a second try, in which these texts end where the next key begins.

// repair makes the JSON text of one level readable. What it takes out is false in
// its place, which no reader of a text accepts.
type repair func(text []byte) []byte

// repairs are tried in turn.
var repairs = []repair{nil, repairToAnyKey, repairToCodec}

// How much a reading that is not perfect counts, for the choice between two.
const (
	oddValue   = 1   // a value that cannot be read, a key that is not known
	oddJSON    = 2   // the text is no JSON, or a key comes twice
	oddFailure = 100 // there is no reading
)

// readTolerantly reads a reply as it is and, where it is not as it should be, again
// with each repair. The best reading counts, the earliest of equals.
func readTolerantly[T any](read func(repair) (T, []Quirk, error)) (T, error) {
	var best T
	var bestErr error
	least := oddFailure + 1
	for _, fix := range repairs {
		got, quirks, err := read(fix)
		odd := oddness(quirks)
		if err != nil {
			if odd = oddFailure; fix != nil {
				continue
			}
		}
		if odd < least {
			best, bestErr, least = got, err, odd
		}
		if worst := isBadJSON(err); !worst && (err != nil || odd < oddJSON) {
			break // as it should be, or a clear answer
		}
	}
	return best, bestErr
}

func isBadJSON(err error) bool {
	e, ok := err.(*Error) //nolint:errorlint // the parsers return it bare
	return ok && e.Reason == "bad_json"
}

func oddness(list []Quirk) int {
	sum := 0
	for _, q := range list {
		switch q.Text {
		case "twice", noValidJSON, "object", "array":
			sum += oddJSON
		default:
			sum += oddValue
		}
	}
	return sum
}

// noValidJSON is the quirk of a reply that is read although it breaks the rules.
const noValidJSON = "no valid JSON, read all the same"

// found are the quirks of the whole reply.
func (d *decoder) found() []Quirk {
	switch {
	case d.invalid:
		d.quirks.add("reply", noValidJSON)
	case d.repaired && len(d.quirks.list) == 0:
		d.quirks.add("reply", "no valid JSON, a text in it was left out")
	}
	return d.quirks.result()
}

// The keys of the call status and of the mailbox's state, as they stand behind a text
// that ends.
const callKeys = `callstate|calltype|cfgonebit|confNetType|conftype|gk|isInConf|mic|sip|speaker|streamType|t140cap|upgrade|upgradeProc|msgStruct|` +
	`stAudioParamSend|stAudioParamRecv|stAuxParamSend|stAuxParamRecv|stVideoParamSend|stVideoParamRecv|joinDay|joinHour|joinMin|` +
	`szName|videoProtocolPrefix|videoProtocolPostfix|videoRate|videoFrame|valueVideoJitter|valueNetDelayVideo|videoLossPer|videoLossNum`

var (
	nameKey  = regexp.MustCompile(`(?i)"(?:szName|sitename)"\s*:\s*"`)
	anyKey   = regexp.MustCompile(`(?i)"\s*(?:,\s*"(?:` + callKeys + `)"\s*:|\}\s*[,\]}])`)
	codecKey = regexp.MustCompile(`(?i)"\s*,\s*"videoProtocolPrefix"\s*:`)
	// dataText is the beginning of data as a text in which quotes are not marked.
	dataText   = regexp.MustCompile(`(?i)"data"\s*:\s*"`)
	dataEnd    = regexp.MustCompile(`(?i)"\s*(?:,\s*"(?:success|error|exception|code|msg)"\s*:[^"]*(?:"[^"]*")?\s*)*\}\s*$`)
	messages   = regexp.MustCompile(`(?i)"msgStruct"\s*:\s*`)
	stateFirst = regexp.MustCompile(`(?i)"state"\s*:`)
	stateKey   = regexp.MustCompile(`(?i),\s*"state"\s*:`)
)

// repairToAnyKey ends a name at the next known key or at the end of its object.
func repairToAnyKey(text []byte) []byte {
	return repairNames(text, func(rest []byte) int {
		if at := anyKey.FindIndex(rest); at != nil {
			return at[0]
		}
		return -1
	})
}

// repairToCodec ends a name at the last videoProtocolPrefix before the next name,
// the vendor's order: so keys inside a name do not end it.
func repairToCodec(text []byte) []byte {
	return repairNames(text, func(rest []byte) int {
		first := codecKey.FindIndex(rest)
		if first == nil {
			return -1
		}
		upto := len(rest)
		if next := nameKey.FindIndex(rest[first[1]:]); next != nil {
			upto = first[1] + next[0]
		}
		all := codecKey.FindAllIndex(rest[:upto], -1)
		return all[len(all)-1][0]
	})
}

// repairNames takes out the names that are no JSON texts; end finds where one ends.
func repairNames(text []byte, end func(rest []byte) int) []byte {
	text = markQuotes(dropMessages(text))
	var out []byte
	for {
		at := nameKey.FindIndex(text)
		if at == nil {
			return append(out, text...)
		}
		length := end(text[at[1]:])
		if length < 0 {
			return append(out, text...)
		}
		quoted := text[at[1]-1 : at[1]+length+1]
		out = append(out, text[:at[1]-1]...)
		if json.Valid(quoted) {
			out = append(out, quoted...)
		} else {
			out = append(out, "false"...)
		}
		text = text[at[1]+length+1:]
	}
}

// markQuotes puts a backslash before the quotes in a data text that have none, so
// that the text is whole; the level below sees them.
func markQuotes(text []byte) []byte {
	at := dataText.FindIndex(text)
	if at == nil {
		return text
	}
	end := dataEnd.FindIndex(text[at[1]:])
	if end == nil {
		return text
	}
	inner := text[at[1] : at[1]+end[0]]
	out := append([]byte{}, text[:at[1]]...)
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; {
		case c == '\\' && i+1 < len(inner):
			out = append(out, c, inner[i+1])
			i++
		case c == '"':
			out = append(out, '\\', c)
		default:
			out = append(out, c)
		}
	}
	return append(out, text[at[1]+end[0]:]...)
}

// dropMessages takes the mailbox's messages out of a text that is no JSON: the state
// stands before or behind them.
func dropMessages(text []byte) []byte {
	at := messages.FindIndex(text)
	if at == nil || json.Valid(text) {
		return text
	}
	head := text[:at[1]]
	if end := stateKey.FindAllIndex(text[at[1]:], -1); end != nil && !stateFirst.Match(head) {
		last := end[len(end)-1][0]
		return append(append(bytes.Clone(head), "false"...), text[at[1]+last:]...)
	}
	for _, close := range []string{"}", "}}", "}}}"} {
		if out := append(append(bytes.Clone(head), "false"...), close...); json.Valid(out) {
			return out
		}
	}
	return text
}

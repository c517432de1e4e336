package health

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lang is a language of the words for people. Keys, codes and logs are English always.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Languages are all of them, the default first.
var Languages = []Lang{English, Chinese}

// Language picks the language of the words: the setting [agent] language if it names
// one ("auto" and "" do not), else the first wish that does. A wish is an
// Accept-Language header or a locale such as "zh_CN.UTF-8" (host.Locale).
func Language(setting string, wishes ...string) Lang {
	for _, wish := range append([]string{setting}, wishes...) {
		if l, ok := wanted(wish); ok {
			return l
		}
	}
	return English
}

// wanted is the language that a wish names first, by its q values.
func wanted(wish string) (Lang, bool) {
	type choice struct {
		lang Lang
		q    float64
	}
	var list []choice
	for part := range strings.SplitSeq(wish, ",") {
		tag, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(weight), "q="); ok {
			q, _ = strconv.ParseFloat(value, 64)
		}
		if at := strings.IndexAny(tag, "-_.@ "); at >= 0 {
			tag = tag[:at] // "zh" of zh-CN, zh_CN.UTF-8
		}
		if l := Lang(strings.ToLower(tag)); q > 0 && slices.Contains(Languages, l) {
			list = append(list, choice{l, q})
		}
	}
	if len(list) == 0 {
		return "", false
	}
	slices.SortStableFunc(list, func(a, b choice) int { return cmp.Compare(b.q, a.q) })
	return list[0].lang, true
}

// units are those of durations: day, hour, minute, second.
var units = map[Lang][4]string{English: {"d", "h", "min", "s"}, Chinese: {"天", "小时", "分钟", "秒"}}

// For is a duration in words of two units at most: "40 s", "12 min", "1 h 5 min", "2 d 4 h".
func (l Lang) For(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	u := units[l.orEnglish()]
	days, h, m, s := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	two := func(a time.Duration, ua string, b time.Duration, ub string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, ua)
		}
		return fmt.Sprintf("%d %s %d %s", a, ua, b, ub)
	}
	switch {
	case days > 0:
		return two(days, u[0], h, u[1])
	case h > 0:
		return two(h, u[1], m, u[2])
	case m > 0:
		return two(m, u[2], 0, "")
	}
	return two(s, u[3], 0, "")
}

// forSince is how long ago t was, "" for a time that is not known.
func (l Lang) forSince(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return l.For(now.Sub(t))
}

// Ago is the age of t in words, "" for a time that is not known.
func (l Lang) Ago(t, now time.Time) string {
	switch age := l.forSince(t, now); {
	case age == "":
		return ""
	case l == Chinese:
		return age + "前"
	default:
		return age + " ago"
	}
}

// Clock is a time for people in the zone of now, with its day when that is another one
// than today: "09:12", "23 Nov 09:12"; "" for a time that is not known.
func (l Lang) Clock(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(now.Location())
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04")
	case l == Chinese:
		return t.Format("1月2日 15:04")
	default:
		return t.Format("2 Jan 15:04")
	}
}

// ClockUTC is Clock with UTC beside it: "09:12 (08:12 UTC)", or "08:12 UTC" where the zone
// is the same. It is for texts that are read in other zones.
func (l Lang) ClockUTC(t, now time.Time) string {
	text := l.Clock(t, now)
	switch _, offset := t.In(now.Location()).Zone(); {
	case text == "":
		return ""
	case offset == 0:
		return text + " UTC"
	}
	return text + " (" + t.UTC().Format("15:04") + " UTC)"
}

// records counts in words: "1 record", "2 records".
func (l Lang) records(n uint64) string {
	if l == Chinese {
		return fmt.Sprintf("%d 条记录", n)
	}
	return Records(n)
}

// orEnglish is the language; one that there is not is English.
func (l Lang) orEnglish() Lang {
	if slices.Contains(Languages, l) {
		return l
	}
	return English
}

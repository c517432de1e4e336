package cgi

import "github.com/valyala/fastjson"

// number is the reader of a measurement in one of the vendor's notations.
func number(parse func(text []byte) (float64, verdict)) reader {
	return func(v value, to any) verdict {
		n, got := 0.0, unreadable
		if text, ok := v.scalar(v.json); ok {
			n, got = parse(text)
		}
		*to.(*Reading) = Reading{Value: n, Known: got == known}
		return got
	}
}

// wholeTo is the reader of a whole number from 0 to limit.
func wholeTo(limit float64) reader {
	return number(func(text []byte) (float64, verdict) { return readCount(text, limit) })
}

// text is the reader of a text of at most limit bytes. The number 0 stands for
// none. A longer text is not cut but left out, for a part of it would be
// something else.
func text(limit int) reader {
	return func(v value, to any) verdict {
		s := to.(*string)
		*s = ""
		b, ok := v.scalar(v.json)
		switch {
		case ok && (len(b) == 0 || v.isNumberZero(b)):
			return absent
		case !ok || len(b) > limit:
			return unreadable
		}
		if c := clean(string(b)); len(c) <= limit {
			*s = c
			return known
		}
		return unreadable
	}
}

// isNumberZero: the value should be a text and is the number 0.
func (v value) isNumberZero(text []byte) bool {
	return string(text) == "0" && v.json.Type() == fastjson.TypeNumber
}

// textOrPlaceholder is the reader of a text that may be a placeholder.
func textOrPlaceholder(limit int) reader {
	read := text(limit)
	return func(v value, to any) verdict {
		if b, ok := v.scalar(v.json); ok && isPlaceholder(b) {
			v.json = nothing
		}
		return read(v, to)
	}
}

// resolution is the reader of a picture's size.
func resolution(v value, to any) verdict {
	z, got := size{}, unreadable
	if text, ok := v.scalar(v.json); ok && v.isNumberZero(text) {
		got = absent
	} else if ok {
		z, got = readSize(text)
	}
	s := to.(*Stream)
	s.Width, s.Height, s.WidthAssumed = z.width, z.height, z.assumed
	return got
}

// token is the reader of an id or a token of at least minimum bytes. It goes into
// a header of later requests, so nothing counts but visible ASCII without the
// characters that end a cookie.
func token(minimum int) reader {
	return func(v value, to any) verdict {
		s := to.(*string)
		*s = ""
		text, ok := v.scalar(v.json)
		if !ok || len(text) < minimum || len(text) > maxToken {
			return absent
		}
		for _, c := range text {
			if !isVisible(c) || c == ';' || c == ',' || c == '"' || c == '\\' {
				return absent
			}
		}
		*s = string(text)
		return known
	}
}

// yes is the reader of a flag: 1, "1" and true are yes, everything else is no.
func yes(v value, to any) verdict {
	var s string
	got := boolean(v, &s)
	*to.(*bool) = s == "1"
	return got
}

// audioStream and videoStream are the readers of one stream. A list of one is the
// same.
func audioStream(v value, to any) verdict { return v.readStream(to.(*Stream), audioFields) }
func videoStream(v value, to any) verdict { return v.readStream(to.(*Stream), videoFields) }

func (v value) readStream(s *Stream, fields func(*Stream) table) verdict {
	*s = Stream{}
	v, ok := v.unwrapped()
	if !ok {
		return absent
	}
	v.parent, v.key = v.key, nil
	if v.json.Type() == fastjson.TypeArray {
		switch list := v.json.GetArray(); len(list) {
		case 0:
			return absent
		case 1:
			v.json = list[0]
		}
	}
	v.readInto(s, fields)
	return known
}

// videoStreams is the reader of a list of streams. The vendor's table calls it an
// object and the example shows a list, so both are accepted, and null or
// nothing.
func videoStreams(v value, to any) verdict {
	streams := to.(*[]Stream)
	*streams = nil
	v, ok := v.unwrapped()
	if !ok {
		return absent
	}
	v.parent, v.key = v.key, nil
	if v.json.Type() != fastjson.TypeArray {
		*streams = make([]Stream, 1)
		v.readInto(&(*streams)[0], videoFields)
		return known
	}
	list := v.json.GetArray()
	if len(list) == 0 {
		return absent
	}
	if len(list) > maxStreams {
		v.index = maxStreams
		v.quirks.add(v.place(), "too many streams")
		list = list[:maxStreams]
	}
	*streams = make([]Stream, len(list))
	for i := range list {
		v.index, v.json = i, list[i]
		v.readInto(&(*streams)[i], videoFields)
	}
	return known
}

// readInto reads the object of one stream.
func (v value) readInto(s *Stream, fields func(*Stream) table) {
	v, ok := v.unwrapped()
	switch {
	case !ok:
	case v.json.Type() != fastjson.TypeObject:
		v.noteUnread()
	default:
		t := fields(s)
		v.readObject(value.noteUnread, &t)
	}
}

package cgi

// keys is a table of the vendor's keys in the vendor's spelling. Keys are found
// without regard to ASCII case: the spelling is irregular and drifts between
// firmware versions.
type keys[T any] []entry[T]

type entry[T any] struct {
	name string
	what T
}

// find looks key up. Endpoints send their keys in a fixed order, so the entry
// at next, the one behind the last hit, is tried first.
func (t keys[T]) find(key []byte, next *int) (T, bool) {
	if i := *next; i < len(t) && string(key) == t[i].name {
		*next = i + 1
		return t[i].what, true
	}
	for i := range t {
		if equalFold(key, t[i].name) {
			*next = i + 1
			return t[i].what, true
		}
	}
	var none T
	return none, false
}

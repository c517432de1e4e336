package health

import "errors"

// Hint is what an error advises the operator to do, "" = nothing.
func Hint(err error) string {
	var h interface{ Advice() string }
	if errors.As(err, &h) {
		return h.Advice()
	}
	return ""
}

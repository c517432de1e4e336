package report

import "testing"

func validate(t *testing.T, kind string, p []byte) {}

package netfake

import (
	"errors"
	"testing"

	"github.com/netspec-go/netspec/internal/faketb"
)

// fatal runs f with a test of its own and returns what that failed with, "" if it did
// not.
func fatal(t *testing.T, f func(tb TB)) string {
	t.Helper()
	return faketb.Fatal(t, func(tb *faketb.TB) { f(tb) })
}

// want compares an error.
func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if (want == nil) != (got == nil) || !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

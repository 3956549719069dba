package fabricfake_test

import (
	"testing"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// fatal runs f in a world of its own and returns what its test failed with, "" if it
// did not.
func fatal(t *testing.T, f func(w *netfake.World)) string {
	t.Helper()
	return faketb.Fatal(t, func(tb *faketb.TB) { f(netfake.New(tb, netfake.Config{Instant: true})) })
}

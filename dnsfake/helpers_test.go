package dnsfake

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// instant runs a test in a world whose links take no time, so that only timeouts do.
func instant(t *testing.T, f func(t *testing.T, w *netfake.World, sys *System)) {
	t.Helper()
	netfake.RunConfig(t, netfake.Config{Instant: true}, func(t *testing.T, w *netfake.World) {
		f(t, w, New(w))
	})
}

// dig asks a server and fails the test if no answer comes.
func dig(t *testing.T, from *netfake.Host, server netip.Addr, name string, typ Type) *Reply {
	t.Helper()
	r, err := Dig(t.Context(), from, server, name, typ)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantReply compares a reply's status and answer section with lines.
func wantReply(t *testing.T, got *Reply, want ...string) {
	t.Helper()
	if got.String() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// wantAt fails the test unless the world's time is exactly at.
func wantAt(t *testing.T, w *netfake.World, at time.Duration) {
	t.Helper()
	if now := w.Now(); now != at {
		t.Errorf("it is %v, want %v", now, at)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// lines returns records as text, a line each.
func lines(rs []Resource) string {
	var b strings.Builder
	for _, r := range rs {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// wantFatal runs f in a world whose test is expected to be failed with a text.
func wantFatal(t *testing.T, want string, f func(sys *System)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		text := faketb.Fatal(t, func(tb *faketb.TB) { f(New(netfake.New(tb, netfake.Config{Instant: true}))) })
		if !strings.Contains(text, want) {
			t.Errorf("the test fails with\n%q\nwant\n%q", text, want)
		}
	})
}

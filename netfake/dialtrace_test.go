package netfake

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"slices"
	"testing"
	"time"
)

// hooksOf records what httptrace is told, and when. The hooks use the host themselves.
func hooksOf(ctx context.Context, h *Host, log *[]string) context.Context {
	add := func(format string, args ...any) {
		h.LastPeer() // takes the world's lock
		*log = append(*log, fmt.Sprintf("%v ", h.World().Now())+fmt.Sprintf(format, args...))
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(i httptrace.DNSStartInfo) { add("ask for %s", i.Host) },
		DNSDone:      func(i httptrace.DNSDoneInfo) { add("found %v, %v", i.Addrs, i.Err) },
		ConnectStart: func(network, addr string) { add("dial %s %s", network, addr) },
		ConnectDone:  func(network, addr string, err error) { add("%s: %v", addr, err) },
	})
}

// A dial tells httptrace of the lookup and of each attempt, the loser's included, and
// nothing of the questions to the name server.
func TestDialTrace(t *testing.T) { Run(t, testDialTrace) }

func testDialTrace(t *testing.T, w *World) {
	client := raceWorld(t, w)
	names := w.Internet().Host("ns", "203.0.113.53")
	serveZone(t, names, zone{"two.example": {racers["refuses"], racers["answers"], "truncated"}})
	client.SetResolvers(names.Addr())
	var log []string
	ctx := hooksOf(t.Context(), client, &log)
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(log, want) {
			t.Errorf("got:\n%q\nwant:\n%q", log, want)
		}
		log = nil
	}
	if _, err := client.DialContext(ctx, "tcp", "two.example:7"); err != nil {
		t.Fatal(err)
	}
	expect(
		"0s ask for two.example",
		"12ms found [{203.0.113.2 } {203.0.113.1 }], <nil>",
		"12ms dial tcp 203.0.113.2:7",
		"16ms 203.0.113.2:7: dial tcp 203.0.113.2:7: connect: connection refused",
		"16ms dial tcp 203.0.113.1:7",
		"20ms 203.0.113.1:7: <nil>",
	)
	if _, err := client.DialContext(ctx, "udp", "203.0.113.1:53"); err != nil {
		t.Fatal(err)
	}
	expect("20ms dial udp 203.0.113.1:53", "20ms 203.0.113.1:53: <nil>")
	client.LookupNetIP(ctx, "ip4", "no.example")
	expect(
		"20ms ask for no.example",
		"24ms found [], lookup no.example on 203.0.113.53:53: no such host",
	)
	if _, err := runRace(ctx, client.Dialer(), raceAddrs("silent"), raceAddrs("answers")); err != nil {
		t.Fatal(err)
	}
	expect(
		"24ms dial tcp 203.0.113.3:7",
		"324ms dial tcp 203.0.113.1:7",
		"328ms 203.0.113.1:7: <nil>",
		"328ms 203.0.113.3:7: dial tcp 203.0.113.3:7: operation was canceled",
	)
}

// A hook that takes its time does not make the race miss what happens meanwhile: the
// primary's handshake ends after 304 ms.
func TestSlowHook(t *testing.T) {
	for _, fallback := range []string{"answers", "no way"} { // begins in the hook; has failed with it
		t.Run(fallback, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				client := raceWorld(t, w)
				slowly := func(addr string) {
					if addr != racers["slow"]+":7" {
						w.Sleep(time.Second)
					}
				}
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					ConnectDone: func(_, addr string, _ error) { slowly(addr) },
				})
				if fallback == "answers" {
					ctx = httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
						ConnectStart: func(_, addr string) { slowly(addr) },
					})
				}
				c, err := runRace(ctx, client.Dialer(), raceAddrs("slow"), raceAddrs(fallback))
				if err != nil || racerAt(c.RemoteAddr()) != "slow" || w.Now() != 1300*time.Millisecond {
					t.Errorf("at %v: %v, %v", w.Now(), c, err)
				}
			})
		})
	}
}

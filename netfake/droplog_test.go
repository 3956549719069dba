package netfake

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Of the flows that drops are remembered of, the one that was quiet for longest makes room;
// how many were dropped of each is counted on.
func TestDropsOfFlows(t *testing.T) { Run(t, testDropsOfFlows) }

func testDropsOfFlows(t *testing.T, w *World) {
	_, client := twoHosts(w)
	drop := func(port uint16) {
		f := Flow{UDP, netip.AddrPortFrom(client.Addr(), port), netip.MustParseAddrPort("203.0.113.10:9")}
		w.Do(func(time.Duration) { client.udpPacket(f, nil, 0).drop(Hop{Place: "test", Rule: "dropped"}) })
	}
	for port := range uint16(keptFlows) {
		drop(port + 1)
	}
	drop(1)   // again
	drop(100) // one too many
	var got string
	for _, f := range w.drops.flows {
		got += fmt.Sprintf("%d:%d ", f.Flow.Src.Port(), f.count)
	}
	if want := "3:1 4:1 5:1 6:1 7:1 8:1 9:1 10:1 11:1 12:1 13:1 14:1 15:1 16:1 1:2 100:1 "; got != want {
		t.Errorf("port:count, got %s, want %s", got, want)
	}
	if all := w.Drops(); len(all) != keptFlows+2 {
		t.Errorf("%d drops", len(all))
	}
}

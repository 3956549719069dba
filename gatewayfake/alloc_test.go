package gatewayfake_test

import (
	"net"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

// A packet of an established connection costs no memory through a NAT gateway, an internet
// gateway and the internet, in either direction.
func TestPacketsAllocateNothing(t *testing.T) {
	x := build(netfake.New(t, netfake.Config{Instant: true}))
	c, s := joined(t, x.app.Host, x.site, 81)
	b := make([]byte, 20_000) // fourteen segments
	n := testing.AllocsPerRun(1000, func() {
		for _, ends := range [][2]net.Conn{{c, s}, {s, c}} {
			ends[0].Write(b)
			for got := 0; got < len(b); {
				k, _ := ends[1].Read(b)
				got += k
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a round trip", n)
	}
	if x.site.LastPeer() != x.nat.PublicIP() {
		t.Errorf("the site sees %v and not the gateway", x.site.LastPeer())
	}
}

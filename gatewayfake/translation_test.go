package gatewayfake

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/netfake"
)

// A table is a map of flows, also where several have one hash.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var got table
		want := map[netfake.Flow]*translation{}
		port := rapid.Uint16Range(1, 12)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			flow := netfake.Flow{Proto: netfake.TCP, Src: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.4"), port.Draw(t, "port"))}
			hash := uint64(flow.Src.Port() % 3)
			if of := want[flow]; of != got.find(flow, hash) {
				t.Fatalf("find(%v): %p, want %p", flow, got.find(flow, hash), of)
			} else if of != nil {
				got.remove(&of.client)
				delete(want, flow)
			} else {
				of = &translation{client: row{flow: flow, hash: hash}}
				of.client.of = of
				got.add(&of.client)
				want[flow] = of
			}
		}
		if got.n != len(want) {
			t.Fatalf("%d rows, want %d", got.n, len(want))
		}
		got.each(func(of *translation) {
			if want[of.client.flow] != of {
				t.Fatalf("%v is given, which is not there or was given before", of.client.flow)
			}
			got.remove(&of.client)
			delete(want, of.client.flow)
		})
		if got.n != 0 || len(got.rows) != 0 || len(want) != 0 {
			t.Fatalf("%d rows, %d hashes and %d flows are left", got.n, len(got.rows), len(want))
		}
	})
}

package fabricfake_test

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A failure of the mapping service counts each packet that goes by outdated knowledge once, at
// however many devices and about however many addresses that is outdated, and none that has got
// an answer.
func TestMappingFailureCountsPacketsOnce(t *testing.T) {
	const drop, ask = fabricfake.MissDrop, fabricfake.MissAsk
	secondly := func(x *ferry) { x.f.Inject(datagram(second+":1", clientAt+":9", "back")) }
	for _, row := range []struct {
		name    string
		policy  fabricfake.MissPolicy
		met     bool           // they have exchanged packets before
		changed []string       // after the service has failed
		send    func(x *ferry) // twice
		hits    uint64
	}{
		{"nothing has changed", drop, false, nil, (*ferry).there, 0},
		{"the receiver has", drop, false, []string{"ferried"}, (*ferry).there, 2},
		{"the sender has", drop, false, []string{"ferried"}, (*ferry).back, 2},
		{"and sends from another of its addresses", drop, false, []string{"ferried"}, secondly, 2},
		{"both have", drop, false, []string{"client", "ferried"}, secondly, 2},
		{"others have", drop, false, []string{"home"}, secondly, 0},
		{"both have, and each was asked for before", ask, true, []string{"client", "ferried"}, secondly, 2},
		{"nothing has, and they are asked for in vain", ask, false, nil, secondly, 2},
		{"both have, and are asked for in vain", ask, false, []string{"client", "ferried"}, secondly, 2},
		{"both have, and the answer comes", ask, false, []string{"client", "ferried"}, func(x *ferry) {
			x.back()
			x.w.Sleep(fabricfake.LatencyLookup / 2)
			x.subnet.VPC().Region().Mapping().Repair()
		}, 0},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := newFerry(t, w)
			mapping := x.subnet.VPC().Region().Mapping()
			mapping.SetMissPolicy(row.policy)
			if row.met {
				for range 2 {
					x.there()
					secondly(x)
					w.Sleep(time.Second)
				}
			}
			failure := mapping.Fail()
			for _, who := range row.changed {
				f := map[string]*fabricfake.Interface{"client": x.client.Interface(), "ferried": x.f, "home": x.homes[2].Interface()}[who]
				f.SetGroups(f.Groups()) // which is news to everybody
			}
			for range 2 {
				row.send(x)
				w.Sleep(time.Second)
			}
			if got := failure.Hits(); got != row.hits {
				t.Errorf("%s: %d hits, want %d", row.name, got, row.hits)
			}
		})
	}
}

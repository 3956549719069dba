package fabricfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// An answer of a service comes to the interface that asked, whatever the mapping service has
// yet to tell and whom, as long as its address and its host are there. Half of the way back
// something happens.
func TestAnswersComeWhereWasAsked(t *testing.T) {
	for _, row := range []struct {
		name    string
		prepare func(b *beside)
		happens func(b *beside)
		dropped string // the rule, "" if the answer comes
	}{
		{"nothing", nil, func(*beside) {}, ""},
		{"the mapping service is late", func(b *beside) { b.vpc.region.mapping.SetDelay(time.Hour) }, func(*beside) {}, ""},
		{"the mapping service is down", func(b *beside) { b.vpc.region.mapping.Fail() }, func(*beside) {}, ""},
		{"devices have to ask", func(b *beside) { b.vpc.region.mapping.SetMissPolicy(MissAsk) }, func(*beside) {}, ""},
		{"another host fails", nil, func(b *beside) { b.vpc.region.PhysicalHost("other", "a").Fail() }, ""},
		{"its host fails", nil, func(b *beside) { b.app.iface.PhysicalHost().Fail() }, "the physical host is down"},
		{"its zone fails", nil, func(b *beside) { b.vpc.region.Zone("a").Fail() }, "the zone is down"},
		{"its address goes to another", nil, func(b *beside) {
			b.subnet.Instance("thief", InstanceConfig{}).iface.MovePrivateIP("100.64.1.100")
		}, "who asked has gone"},
	} {
		for _, service := range []string{"169.254.169.253:54", "169.254.169.123:123"} {
			t.Run(fmt.Sprint(row.name, ", ", service), func(t *testing.T) {
				netfake.Run(t, func(t *testing.T, w *netfake.World) {
					b := newBeside(t, w, InstanceConfig{})
					if row.prepare != nil {
						row.prepare(b)
					}
					b.app = b.subnet.Instance("late", InstanceConfig{SecondaryIPs: []string{"100.64.1.100"}})
					answerEach(w, b.answers)
					d := b.app.Dialer()
					d.LocalAddr = netip.MustParseAddrPort("100.64.1.100:0")
					c, err := d.Dial("udp", service)
					if err != nil {
						t.Fatal(err)
					}
					c.Write(append([]byte{0x23}, make([]byte, 47)...)) // which a clock answers
					w.Sleep(LatencyHost + LatencyHost/2)
					row.happens(b)
					c.SetReadDeadline(time.Now().Add(time.Second))
					if n, err := c.Read(make([]byte, 100)); (err == nil) != (row.dropped == "") {
						t.Errorf("read %d, %v", n, err)
					}
					got := ""
					if d := w.Drops(); len(d) > 0 {
						got = d[0].Hop.Rule
					}
					if got != row.dropped || len(w.Alarms()) != 0 {
						t.Errorf("dropped: %q, want %q; alarms %v", got, row.dropped, w.Alarms())
					}
				})
			})
		}
	}
}

// answerEach has a resolver answer what comes to it at its link-local address.
func answerEach(w *netfake.World, h *netfake.Host) {
	u, err := h.ListenPacket("udp", "169.254.169.253:54")
	if err != nil {
		panic(err)
	}
	w.Go(func(context.Context) {
		b := make([]byte, 100)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(b[:n], from.(*net.UDPAddr))
		}
	})
}

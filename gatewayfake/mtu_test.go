package gatewayfake_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// path is one of the ways of a packet out of an instance.
type path int

const (
	inside path = iota
	throughIGW
	throughNAT
)

// What fits on each path, who says so if a packet does not, and what the sender knows from
// then on. Sources: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html and
// https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html
// fact: mtu.vpc, mtu.igw, mtu.nat
func TestMTUOfPaths(t *testing.T) {
	for _, row := range []struct {
		rule    string
		by      path
		size    int // of the IP packet
		arrives bool
		learns  int
		from    string // whose router answers
	}{
		{"9001 inside of a VPC", inside, 9001, true, 9001, ""},
		{"1500 through an internet gateway", throughIGW, 1500, true, 9001, ""},
		{"no more, and the router says so", throughIGW, 1501, false, 1500, "public"},
		{"the largest packet there is", throughIGW, 9001, false, 1500, "public"},
		{"1500 through a NAT gateway and the internet gateway", throughNAT, 1500, true, 9001, ""},
		{"what the NAT gateway takes, and the internet gateway behind it does not", throughNAT, 8500, false, 1500, "public"},
		{"more than the NAT gateway takes", throughNAT, 8501, false, 8500, "private"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			peer, addr := jumbo(w)
			from, to := x.app, peer.Host
			switch row.by {
			case inside:
				open := x.vpc.SecurityGroup("open").AllowIngress("udp", fabricfake.Anywhere)
				i := x.public.Instance("near", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
				to, addr = i.Host, i.Addr()
			case throughIGW:
				from = x.public.Instance("front of prod", fabricfake.InstanceConfig{})
				eip := gatewayfake.NewElasticIP(x.vpc)
				eip.Associate(from.Interface())
			}
			in, err := to.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			rec := w.Record(func(f netfake.Flow) bool { return f.Proto == netfake.ICMP })
			out, err := from.Dial("udp", netip.AddrPortFrom(addr, 9).String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(make([]byte, row.size-28)); err != nil {
				t.Errorf("%s: %v", row.rule, err)
			}
			w.Sleep(time.Second)
			in.SetReadDeadline(time.Now().Add(time.Second))
			if _, _, err := in.ReadFrom(make([]byte, 9001)); (err == nil) != row.arrives {
				t.Errorf("%s: it arrives: %v", row.rule, err)
			}
			if got := from.PathMTU(addr); got != row.learns {
				t.Errorf("%s: the sender takes %d for the path's MTU, want %d", row.rule, got, row.learns)
			}
			routers := map[string]netip.Addr{"public": x.public.RouterAddr(), "private": x.private.RouterAddr()}
			var said netip.Addr
			for _, tr := range rec.Traces() {
				if tr.To == from.Name() {
					said = tr.Flow.Src.Addr()
				}
			}
			if said != routers[row.from] {
				t.Errorf("%s: %v says so, want %v", row.rule, said, routers[row.from])
			}
		})
	}
}

// More than 9001 bytes leave an instance in fragments.
func TestMTUOfAnInstance(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		out, err := x.app.Dial("udp", "10.0.0.9:9")
		if err != nil {
			t.Fatal(err)
		}
		for cut := range 2 {
			if _, err := out.Write(make([]byte, fabricfake.MTU-28+cut)); err != nil {
				t.Errorf("a packet of %d bytes: %v", fabricfake.MTU+cut, err)
			}
			if got := x.app.FragmentStats(); got.Cut != uint64(cut) || got.Sent != uint64(2*cut) {
				t.Errorf("a packet of %d bytes: %+v", fabricfake.MTU+cut, got)
			}
		}
	})
}

// A NAT gateway lowers what both ends announce as their largest segment to what fits
// through it. An internet gateway leaves it as it is.
// fact: mtu.nat.clamp
func TestMSSClamp(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		peer, addr := jumbo(w)
		swallow(t, peer.Host)
		front := x.public.Instance("front of prod", fabricfake.InstanceConfig{})
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(front.Interface())
		for _, row := range []struct {
			from *fabricfake.Instance
			want uint16
		}{{front, fabricfake.MTU - 40}, {x.app, gatewayfake.NATGatewayMTU - 40}} {
			m := &mssMeter{}
			remove := peer.Interface().VPC().Region().Link("a", "a").Insert(m)
			c, err := row.from.Dial("tcp", netip.AddrPortFrom(addr, 9).String())
			remove()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if m.syn != row.want || m.synack != row.want {
				t.Errorf("%v: the ends hear of %d and %d bytes, want %d", row.from, m.syn, m.synack, row.want)
			}
		}
	})
}

// mssMeter reads the segment sizes that SYNs announce in the frames of a link.
type mssMeter struct{ syn, synack uint16 }

func (m *mssMeter) String() string { return "meter" }

// Step keeps what was seen last: what arrives at the other end.
func (m *mssMeter) Step(p *netfake.Packet) netfake.Next {
	if frame, err := fabricfake.ParseFrame(p.Bytes()); err == nil {
		if _, segment, err := wire.ParseIPv4(frame.Inner); err == nil {
			head, _, _ := wire.ParseTCP(segment)
			switch head.Flags & (wire.SYN | wire.ACK) {
			case wire.SYN:
				m.syn = head.MSS
			case wire.SYN | wire.ACK:
				m.synack = head.MSS
			}
		}
	}
	return p.Onward()
}

package gatewayfake_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// jumbo is a second VPC with a public instance, front, which like all instances takes
// packets of 9001 bytes, so that no end lowers the other's segments.
func jumbo(w *netfake.World) (front *fabricfake.Instance, addr netip.Addr) {
	vpc := fabricfake.NewVPC(w, "jumbo", "10.9.0.0/16")
	s := vpc.Subnet("jumbo", "10.9.0.0/24", "a")
	s.Route("0.0.0.0/0", gatewayfake.NewInternetGateway(vpc, "igw"))
	open := vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
	front = s.Instance("front", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
	eip := gatewayfake.NewElasticIP(vpc)
	eip.Associate(front.Interface())
	return front, eip.Addr()
}

// swallow accepts connections on tcp/9 and tells how much came on each.
func swallow(t *testing.T, h *netfake.Host) (came chan int64) {
	t.Helper()
	l, err := h.Listen("tcp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	came = make(chan int64, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { n, _ := io.Copy(io.Discard, c); came <- n }()
		}
	}()
	return came
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantHops(t *testing.T, from *netfake.Host, to netip.Addr, want ...netip.Addr) {
	t.Helper()
	hops, err := from.Traceroute(t.Context(), to)
	if err != nil || len(hops) != len(want) {
		t.Fatalf("%v, %v, want %v", hops, err, want)
	}
	for i, h := range hops {
		if h.Addr != want[i] {
			t.Errorf("hop %d is %v, want %v", h.TTL, h.Addr, want[i])
		}
	}
	if last := hops[len(hops)-1]; last.Kind != netfake.PortUnreachable {
		t.Errorf("the last hop says %v", last.Kind)
	}
}

// A NAT gateway is a hop with its private address, an internet gateway one that keeps
// silent, and the VPC's router is none.
// fact: walk.ttl
func TestTracerouteThroughGateways(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		front, eip, _ := x.openFront()
		silence, site := netip.Addr{}, x.site.Addr()
		region, far := x.igw.Uplink().RouterAddr(), x.site.Uplink().RouterAddr()

		wantHops(t, front.Host, site, silence, region, far, site)
		wantHops(t, x.app.Host, site, x.nat.Interface().PrivateIP(), silence, region, far, site)
		wantHops(t, x.site, eip.Addr(), far, region, silence, eip.Addr())
		wantHops(t, x.app.Host, front.Addr(), front.Addr())
	})
}

// What is refused beyond a gateway is told to who asked, as if there were no gateway:
// errors are translated in both directions, and with them what they quote.
func TestErrorsThroughGateways(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		front, eip, _ := x.openFront()
		refusedUDP := func(name string, from *netfake.Host, to netip.Addr) {
			t.Helper()
			c, err := from.Dial("udp", netip.AddrPortFrom(to, 999).String())
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("x"))
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			_, err = c.Read(make([]byte, 1))
			wantErr(t, name, err, syscall.ECONNREFUSED)
		}
		refusedUDP("out by the internet gateway", front.Host, x.site.Addr())
		refusedUDP("out by the NAT gateway", x.app.Host, x.site.Addr())
		refusedUDP("in by the internet gateway", x.site, eip.Addr())

		// An answer to a client that has gone is refused by it, through the NAT gateway.
		in, err := x.site.ListenPacket("udp", ":998")
		if err != nil {
			t.Fatal(err)
		}
		gone, _ := x.app.Dial("udp", "203.0.113.80:998")
		gone.Write([]byte("x"))
		_, peer, err := in.ReadFrom(make([]byte, 1))
		if err != nil {
			t.Fatal(err)
		}
		in.Close()
		gone.Close()
		back, err := (&netfake.Dialer{Host: x.site, LocalAddr: netip.MustParseAddrPort("203.0.113.80:998")}).DialContext(t.Context(), "udp", peer.String())
		if err != nil {
			t.Fatal(err)
		}
		back.Write([]byte("x"))
		back.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = back.Read(make([]byte, 1))
		wantErr(t, "back by the NAT gateway", err, syscall.ECONNREFUSED)

		// A router behind the gateways that says no ends a dial and a ping at once.
		x.site.Uplink().Link().Refuse(netfake.HostUnreachable)
		for _, h := range []*netfake.Host{front.Host, x.app.Host} {
			began := w.Now()
			_, err := h.Dial("tcp", "203.0.113.80:80")
			wantErr(t, "a dial from "+h.Name(), err, syscall.EHOSTUNREACH)
			_, err = h.Ping(t.Context(), x.site.Addr())
			wantErr(t, "a ping from "+h.Name(), err, syscall.EHOSTUNREACH)
			if took := w.Now() - began; took > time.Second {
				t.Errorf("%s learned of it after %v", h.Name(), took)
			}
		}
	})
}

// An instance sends jumbo packets to the internet when the other end would take them. The
// VPC's router says what an internet gateway takes, the sender sends again, and the
// transfer is as fast as if it had known.
// fact: mtu.igw, mtu.admitted
func TestPathMTUThroughTheInternetGateway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		peer, addr := jumbo(w)
		came := swallow(t, peer.Host)
		front := x.public.Instance("public", fabricfake.InstanceConfig{})
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(front.Interface())
		transfer := func() time.Duration {
			c, err := front.Dial("tcp", netip.AddrPortFrom(addr, 9).String())
			if err != nil {
				t.Fatal(err)
			}
			began := w.Now()
			c.Write(make([]byte, 100000))
			c.Close()
			if n := <-came; n != 100000 {
				t.Errorf("%d bytes came", n)
			}
			return w.Now() - began
		}
		if got := front.PathMTU(addr); got != fabricfake.MTU {
			t.Errorf("the path's MTU is %d before", got)
		}
		first := transfer()
		if got := front.PathMTU(addr); got != 1500 {
			t.Errorf("the path's MTU is %d", got)
		}
		if second := transfer(); first != second {
			t.Errorf("the transfer took %v, and %v when the path was known", first, second)
		}
	})
}

// The same under a network ACL that lets only TCP in, as its author thought enough: the
// connection opens, and then nothing comes through.
// fact: mtu.admitted, acl.pmtud
func TestPathMTUBlackHoleByACL(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		peer, addr := jumbo(w)
		swallow(t, peer.Host)
		front := x.public.Instance("public", fabricfake.InstanceConfig{})
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(front.Interface())
		acl := x.vpc.NetworkACL("tcp only").AllowIngress(100, "tcp", "0.0.0.0/0").AllowEgress(100, "tcp", "0.0.0.0/0")
		x.public.UseACL(acl)
		c, err := front.Dial("tcp", netip.AddrPortFrom(addr, 9).String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write(make([]byte, 8000))
		c.SetReadDeadline(time.Now().Add(time.Hour))
		_, err = c.Read(make([]byte, 1))
		wantErr(t, "a read", err, syscall.ETIMEDOUT)
		if got := front.PathMTU(addr); got != fabricfake.MTU {
			t.Errorf("the path's MTU is %d", got)
		}
		blamed := false
		for _, d := range w.Drops() {
			blamed = blamed || d.Hop.By == netfake.Component(acl) && d.Flow.Proto == netfake.ICMP
		}
		if !blamed {
			t.Error("no ICMP error was dropped by the ACL")
		}
	})
}

// Behind a NAT gateway the sender learns 1500 of the internet gateway behind it, which the
// NAT gateway translates. Its own 8500 it has told by the segment sizes of the handshake.
// fact: mtu.nat
func TestPathMTUThroughTheNATGateway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		peer, addr := jumbo(w)
		came := swallow(t, peer.Host)
		rec := w.Record(func(f netfake.Flow) bool { return f.Proto == netfake.ICMP })
		c, err := x.app.Dial("tcp", netip.AddrPortFrom(addr, 9).String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write(make([]byte, 50000))
		c.Close()
		if n := <-came; n != 50000 {
			t.Errorf("%d bytes came", n)
		}
		if got := x.app.PathMTU(addr); got != 1500 {
			t.Errorf("the path's MTU is %d", got)
		}
		routers := map[netip.Addr]bool{}
		for _, tr := range rec.Traces() {
			if tr.To == "app" {
				routers[tr.Flow.Src.Addr()] = true
			}
		}
		if len(routers) != 1 || !routers[x.public.RouterAddr()] {
			t.Errorf("packet too big was sent to the instance by %v", routers)
		}
	})
}

// A client's ICMP error about a reply is believed of the client that the reply was for, and
// of no other behind the same NAT gateway.
func TestNATErrorsOfOtherClients(t *testing.T) {
	for _, own := range []bool{true, false} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			other := x.private.Instance("other", fabricfake.InstanceConfig{})
			in, err := x.site.ListenPacket("udp", ":998")
			if err != nil {
				t.Fatal(err)
			}
			c, err := x.app.Dial("udp", "203.0.113.80:998")
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("x"))
			_, peer, err := in.ReadFrom(make([]byte, 1))
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
			back, err := (&netfake.Dialer{Host: x.site, LocalAddr: netip.MustParseAddrPort("203.0.113.80:998")}).DialContext(t.Context(), "udp", peer.String())
			if err != nil {
				t.Fatal(err)
			}
			from := other
			if own {
				from = x.app
			}
			from.Interface().Inject(portUnreachable(from.Addr(), "203.0.113.80:998", c.LocalAddr().String()))
			back.SetReadDeadline(time.Now().Add(time.Second))
			_, err = back.Read(make([]byte, 1))
			if errors.Is(err, syscall.ECONNREFUSED) != own || errors.Is(err, os.ErrDeadlineExceeded) == own {
				t.Errorf("by the client itself %v: %v", own, err)
			}
			if n := x.nat.Stats().PacketsDropped; (n == 0) != own {
				t.Errorf("by the client itself %v: the gateway has dropped %d packets", own, n)
			}
		})
	}
}

// portUnreachable returns who's ICMP error about a UDP datagram from src to dst.
func portUnreachable(who netip.Addr, src, dst string) []byte {
	about := [2]netip.AddrPort{netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)}
	b := make([]byte, wire.IPv4HeaderLen+wire.ICMPHeaderLen+wire.IPv4HeaderLen+wire.UDPHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: who, Dst: about[0].Addr()}
	ip.Put(b, len(b)-wire.IPv4HeaderLen)
	icmp := b[wire.IPv4HeaderLen:]
	quote := icmp[wire.ICMPHeaderLen:]
	head := wire.IPv4{TTL: 60, Proto: wire.ProtoUDP, Src: about[0].Addr(), Dst: about[1].Addr()}
	head.Put(quote, wire.UDPHeaderLen)
	udp := wire.UDP{SrcPort: about[0].Port(), DstPort: about[1].Port()}
	udp.Put(quote[wire.IPv4HeaderLen:], 0)
	icmp[0], icmp[1] = 3, 3
	binary.BigEndian.PutUint16(icmp[2:], wire.Checksum(icmp))
	return b
}

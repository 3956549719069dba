package netfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
)

// A host of both families binds, refuses and shows addresses as the kernel does.
func TestParityFamilies(t *testing.T) {
	if runtime.GOOS != "linux" || !machineHasIPv6() {
		t.Skip("the machine is no Linux with ::1 to compare with")
	}
	for _, c := range parityFamilies {
		t.Run(c.name, func(t *testing.T) {
			compareSides(t, c, func(t TB) *scene {
				return kernelScene(t, loopback, loopback)
			}, func(t TB) *scene {
				h := New(t, Config{Instant: true}).Internet().Host("host", "203.0.113.10", "2001:db8::a")
				return hostScene(t, h, loopback, h, loopback)
			})
		})
	}
}

// bind opens a socket of either protocol, and returns where it is bound and how to close
// it.
func (s *scene) bind(network, address string) (at net.Addr, unbind func() error, err error) {
	if network[:3] == "udp" {
		c, err := s.packets(network, address)
		if err != nil {
			return nil, nil, err
		}
		return c.LocalAddr(), c.Close, nil
	}
	l, err := s.listen(network, address)
	if err != nil {
		return nil, nil, err
	}
	return l.Addr(), l.Close, nil
}

// networks is every network of a protocol.
func networks(proto string) []string { return []string{proto, proto + "4", proto + "6"} }

var parityFamilies = []parityCase{
	{name: "where a network binds", do: func(s *scene) {
		for _, proto := range []string{"tcp", "udp"} {
			for _, network := range networks(proto) {
				for _, host := range []string{"", "0.0.0.0", "[::]", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "192.0.2.1", "[2001:db8:9::9]"} {
					at, unbind, err := s.bind(network, host+":0")
					clear(s.ports) // the kernel may give one port twice
					s.tell(network+" "+host, at, err)
					if err == nil {
						unbind()
					}
				}
			}
		}
	}},
	{name: "which sockets get in each other's way", do: func(s *scene) {
		everything := [][2]string{{"", ""}, {"4", ""}, {"6", ""}, {"", "127.0.0.1"}, {"", "[::1]"}, {"", "127.0.0.2"}}
		for _, proto := range []string{"tcp", "udp"} {
			for _, first := range everything {
				for _, second := range everything {
					at, release, err := s.bind(proto, ":0") // which is free in both families
					s.must(err)
					release()
					_, unbind, err := s.bind(proto+first[0], first[1]+":"+portOf(at))
					s.must(err)
					_, also, err := s.bind(proto+second[0], second[1]+":"+portOf(at))
					clear(s.ports)
					s.tell(fmt.Sprint(proto, first, " and ", second), err)
					unbind()
					if err == nil {
						also()
					}
				}
			}
		}
	}},
	{name: "peers of a dual-stack listener", do: func(s *scene) {
		l, err := s.listen("tcp", ":0")
		s.must(err)
		s.Cleanup(func() { l.Close() })
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := s.dial(context.Background(), "tcp", net.JoinHostPort(host, "0"), net.JoinHostPort(host, portOf(l.Addr())))
			s.must(err)
			a, err := l.Accept()
			s.must(err)
			clear(s.ports)
			s.tell(host, a.LocalAddr(), a.RemoteAddr(), c.LocalAddr(), c.RemoteAddr())
			s.tell("networks", a.LocalAddr().Network(), c.RemoteAddr().Network())
			c.Close()
			a.Close()
		}
	}},
	{name: "a listener of one family does not hear the other", do: func(s *scene) {
		for network, host := range map[string]string{"tcp4": "::1", "tcp6": "127.0.0.1"} {
			l, err := s.listen(network, ":0")
			s.must(err)
			defer l.Close()
			_, err = s.dial(context.Background(), "tcp", net.JoinHostPort(host, "0"), net.JoinHostPort(host, portOf(l.Addr())))
			if err == nil {
				s.Errorf("%s heard %s", network, host)
			}
		}
		s.tell("done")
	}},
	{name: "peers of a dual-stack UDP socket", do: func(s *scene) {
		a := s.open("udp", ":0")
		for _, host := range []string{"127.0.0.1", "::1"} {
			c := s.open("udp", net.JoinHostPort(host, "0"))
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), addrPort(a.LocalAddr()).Port()))
			b := make([]byte, 9)
			clear(s.ports)
			c.WriteTo([]byte("x"), to)
			n, at, err := a.ReadFromUDPAddrPort(b)
			s.tell("ReadFromUDPAddrPort", n, at, err)
			c.WriteTo([]byte("x"), to)
			n, from, err := a.ReadFrom(b)
			s.tell("ReadFrom", n, from, len(from.(*net.UDPAddr).IP), err)
			c.WriteTo([]byte("x"), to)
			_, _, _, msg, err := a.ReadMsgUDPAddrPort(b, nil)
			s.tell("ReadMsgUDPAddrPort", msg, err)
			s.sendTo("an answer", a, "answer", from)
			s.receive("it arrives", c, 9)
			n, err = a.WriteToUDPAddrPort([]byte("answer"), at)
			s.tell("another", n, err)
			s.receive("it arrives", c, 9)
		}
	}},
	{name: "where a UDP socket can send", do: func(s *scene) {
		for _, from := range [][2]string{{"udp", ":0"}, {"udp4", ":0"}, {"udp6", ":0"}, {"udp", "127.0.0.1:0"}, {"udp", "[::1]:0"}} {
			c := s.open(from[0], from[1])
			clear(s.ports)
			for _, text := range []string{"127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9", "0.0.0.0:9", "[::]:9"} {
				to := netip.MustParseAddrPort(text)
				_, err := c.WriteToUDPAddrPort(nil, to)
				s.tell(fmt.Sprint(from, " to ", to), err)
				_, err = c.WriteTo(nil, net.UDPAddrFromAddrPort(to))
				s.tell(fmt.Sprint(from, " to the UDPAddr ", to), err)
			}
			_, err := c.WriteTo(nil, &net.UDPAddr{Port: 9})
			s.tell(fmt.Sprint(from, " to no address"), err)
			_, err = c.WriteToUDPAddrPort(nil, netip.AddrPort{})
			s.tell(fmt.Sprint(from, " to the zero AddrPort"), err)
		}
	}},
	{name: "the wildcard is the host itself", do: func(s *scene) {
		for _, at := range [][3]string{{"tcp", "[::1]:0", "[::]:"}, {"tcp", "127.0.0.1:0", "0.0.0.0:"}, {"tcp6", "[::1]:0", ":"}, {"tcp4", "127.0.0.1:0", ":"}} {
			l, err := s.listen(at[0], at[1])
			s.must(err)
			clear(s.ports)
			c, err := s.dial(context.Background(), at[0], at[1], at[2]+portOf(l.Addr()))
			s.tell(fmt.Sprint(at), err)
			if err == nil {
				s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
				c.Close()
			}
			l.Close()
		}
	}},
	{name: "which ends a connection can have", do: func(s *scene) {
		for _, ends := range [][3]string{
			{"tcp4", "127.0.0.1:0", "[::1]:9"},
			{"tcp6", "[::1]:0", "127.0.0.1:9"},
			{"tcp6", "[::1]:0", "[::ffff:127.0.0.1]:9"},
			{"tcp", "[::1]:0", "127.0.0.1:9"},
			{"tcp", "127.0.0.1:0", "[::1]:9"},
			{"udp", "[::1]:0", "127.0.0.1:9"},
			{"tcp", "0.0.0.0:0", "[::1]:9"},
			{"tcp", "[::]:0", "127.0.0.1:9"},
			{"tcp", "[2001:db8:9::9]:0", "[::1]:9"},
			{"tcp", "[::]:0", "[::]:9"},
			{"tcp6", "[::]:0", ":9"},
		} {
			_, err := s.dial(context.Background(), ends[0], ends[1], ends[2])
			s.tell(fmt.Sprint(ends), err)
		}
	}},
}

package netfake

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

func TestParityUDP(t *testing.T) { checkParity(t, parityUDP) }

// udpConn is what *net.UDPConn and *UDPConn have in common.
type udpConn interface {
	net.Conn
	net.PacketConn
	ReadFromUDP(b []byte) (int, *net.UDPAddr, error)
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteToUDP(b []byte, addr *net.UDPAddr) (int, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

// open opens an unconnected socket.
func (s *scene) open(network, address string) udpConn {
	s.Helper()
	c, err := s.packets(network, address)
	s.must(err)
	s.Cleanup(func() { c.Close() })
	return c.(udpConn)
}

// sockets opens a socket of each host.
func (s *scene) sockets() (client, server udpConn) {
	s.Helper()
	return s.open("udp", s.from("0")), s.open("udp", s.at("0"))
}

// connected opens a socket of the client that is connected to one of the server.
func (s *scene) connected(to net.Addr) udpConn {
	s.Helper()
	c, err := s.connect(to)
	s.must(err)
	s.Cleanup(func() { c.Close() })
	return c.(udpConn)
}

// receive tells what one ReadFrom gives.
func (s *scene) receive(what string, c net.PacketConn, size int) {
	b := make([]byte, size)
	n, from, err := c.ReadFrom(b)
	s.tell(what, n, string(b[:n]), from, err)
}

// sendTo tells what one WriteTo gives.
func (s *scene) sendTo(what string, c net.PacketConn, text string, to net.Addr) {
	n, err := c.WriteTo([]byte(text), to)
	s.tell(what, n, err)
}

// mayWrite sends n bytes and returns what comes of it.
func mayWrite(c net.PacketConn, n int, to net.Addr) error {
	_, err := c.WriteTo(make([]byte, n), to)
	return err
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.UDPAddr).AddrPort() }

var parityUDP = []parityCase{
	{name: "there and back", do: func(s *scene) {
		c, a := s.sockets()
		s.sendTo("a question", c, "question", a.LocalAddr())
		s.receive("it arrives", a, 100)
		s.sendTo("an answer", a, "answer", c.LocalAddr())
		s.receive("it arrives", c, 100)
	}},
	{name: "addresses", do: func(s *scene) {
		c, a := s.sockets()
		s.tell("unconnected", c.LocalAddr(), c.RemoteAddr())
		d := s.connected(a.LocalAddr())
		s.tell("connected", d.LocalAddr(), d.RemoteAddr())
		s.tell("networks", d.LocalAddr().Network())
		w := s.open("udp4", "0.0.0.0:0")
		s.tell("a wildcard's", w.LocalAddr())
	}, v4: true},
	{name: "a datagram of nothing", do: func(s *scene) {
		c, a := s.sockets()
		s.sendTo("from an unconnected socket", c, "", a.LocalAddr())
		s.receive("it arrives", a, 100)
		d := s.connected(a.LocalAddr())
		s.write("from a connected socket", d, "")
		s.receive("it arrives", a, 100)
		s.sendTo("back", a, "", d.LocalAddr())
		s.read("it is no end", d, 100)
		s.sendTo("back", a, "text", d.LocalAddr())
		s.read("what comes after it", d, 100)
	}},
	{name: "what does not fit is cut", do: func(s *scene) {
		c, a := s.sockets()
		c.WriteTo([]byte("a long text"), a.LocalAddr())
		c.WriteTo([]byte("next"), a.LocalAddr())
		s.receive("six bytes", a, 6)
		s.receive("the next", a, 6)
	}},
	{name: "a read of nothing takes a datagram", do: func(s *scene) {
		c, a := s.sockets()
		c.WriteTo([]byte("first"), a.LocalAddr())
		c.WriteTo([]byte("second"), a.LocalAddr())
		s.receive("nothing", a, 0)
		s.receive("the next", a, 100)
	}},
	{name: "but a Read of nothing takes none", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		a.WriteTo([]byte("text"), c.LocalAddr())
		s.readable(c)
		s.read("nothing", c, 0)
		s.read("the datagram", c, 9)
		s.read("nothing, when nothing is there", c, 0)
		c.SetReadDeadline(past)
		s.read("nothing, too late", c, 0)
		c.Close()
		s.read("nothing of a closed socket", c, 0)
	}},
	{name: "datagrams keep their order and their bounds", do: func(s *scene) {
		c, a := s.sockets()
		for i := range 20 {
			c.WriteTo([]byte(strconv.Itoa(i*i)), a.LocalAddr())
		}
		for range 20 {
			s.receive("one", a, 100)
		}
	}},
	{name: "two senders", do: func(s *scene) {
		c, a := s.sockets()
		d := s.connected(a.LocalAddr())
		c.WriteTo([]byte("from the one"), a.LocalAddr())
		d.Write([]byte("from the other"))
		s.receive("first", a, 100)
		s.receive("second", a, 100)
	}},
	{name: "a connected socket hears its peer alone", do: func(s *scene) {
		stranger, a := s.open("udp", s.at("0")), s.open("udp", s.at("0"))
		c := s.connected(a.LocalAddr())
		stranger.WriteTo([]byte("not for you"), c.LocalAddr())
		a.WriteTo([]byte("for you"), c.LocalAddr())
		s.receive("ReadFrom", c, 100)
	}},
	{name: "connected and unconnected sockets write in their own ways", do: func(s *scene) {
		c, a := s.sockets()
		d := s.connected(a.LocalAddr())
		s.sendTo("WriteTo, connected, to its peer", d, "x", a.LocalAddr())
		s.sendTo("WriteTo, connected, to another", d, "x", c.LocalAddr())
		s.write("Write, unconnected", c, "x")
		_, err := d.WriteToUDPAddrPort([]byte("x"), addrPort(a.LocalAddr()))
		s.tell("WriteToUDPAddrPort, connected", err)
		_, err = d.WriteToUDP([]byte("x"), a.LocalAddr().(*net.UDPAddr))
		s.tell("WriteToUDP, connected", err)
		_, _, err = d.WriteMsgUDP([]byte("x"), nil, a.LocalAddr().(*net.UDPAddr))
		s.tell("WriteMsgUDP, connected", err)
		_, _, err = c.WriteMsgUDP([]byte("x"), nil, nil)
		s.tell("WriteMsgUDP, unconnected, to nobody", err)
		_, _, err = c.WriteMsgUDPAddrPort([]byte("x"), nil, netip.AddrPort{})
		s.tell("WriteMsgUDPAddrPort, unconnected, to nobody", err)
		_, err = c.WriteToUDPAddrPort([]byte("x"), netip.AddrPort{})
		s.tell("WriteToUDPAddrPort to nobody", err)
		_, err = c.WriteToUDP([]byte("x"), nil)
		s.tell("WriteToUDP to nobody", err)
		s.sendTo("WriteTo another kind of address", c, "x", &net.TCPAddr{IP: s.server.AsSlice(), Port: 9})
		_, err = c.WriteTo([]byte("x"), nil)
		s.tell("WriteTo nobody", err)
	}},
	{name: "the methods of *net.UDPConn", do: func(s *scene) {
		c, a := s.sockets()
		to, b := a.LocalAddr().(*net.UDPAddr), make([]byte, 100)
		n, err := c.WriteToUDP([]byte("WriteToUDP"), to)
		s.tell("WriteToUDP", n, err)
		n, from, err := a.ReadFromUDP(b)
		s.tell("ReadFromUDP", string(b[:n]), from, err)
		n, err = c.WriteToUDPAddrPort([]byte("AddrPort"), to.AddrPort())
		s.tell("WriteToUDPAddrPort", n, err)
		n, port, err := a.ReadFromUDPAddrPort(b)
		s.tell("ReadFromUDPAddrPort", string(b[:n]), port, err)
		n, oobn, err := c.WriteMsgUDP([]byte("message"), nil, to)
		s.tell("WriteMsgUDP", n, oobn, err)
		n, oobn, flags, from, err := a.ReadMsgUDP(b, nil)
		s.tell("ReadMsgUDP", string(b[:n]), oobn, flags, from, err)
		n, oobn, err = c.WriteMsgUDPAddrPort([]byte("message"), nil, to.AddrPort())
		s.tell("WriteMsgUDPAddrPort", n, oobn, err)
		n, oobn, flags, port, err = a.ReadMsgUDPAddrPort(b[:3], make([]byte, 64))
		s.tell("ReadMsgUDPAddrPort, cut", string(b[:n]), oobn, flags, port, err)
		d := s.connected(to)
		n, oobn, err = d.WriteMsgUDP([]byte("message"), nil, nil)
		s.tell("WriteMsgUDP, connected", n, oobn, err)
		n, oobn, err = d.WriteMsgUDPAddrPort([]byte("message"), nil, netip.AddrPort{})
		s.tell("WriteMsgUDPAddrPort, connected", n, oobn, err)
		a.SetReadDeadline(later())
		s.receive("one", a, 100)
		s.receive("the other", a, 100)
		a.SetReadDeadline(past)
		_, _, _, from, err = a.ReadMsgUDP(b, nil)
		s.tell("ReadMsgUDP, too late", from == nil, err)
		_, from, err = a.ReadFromUDP(b)
		s.tell("ReadFromUDP, too late", from == nil, err)
	}},
	{name: "a socket at every address answers from the one that was asked", do: func(s *scene) {
		a := s.open("udp4", "0.0.0.0:0")
		c := s.open("udp", s.from("0"))
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.server, addrPort(a.LocalAddr()).Port()))
		s.sendTo("a question", c, "question", to)
		s.receive("it arrives", a, 100)
	}, v4: true},
	{name: "a host's own wildcard address is the host itself", do: func(s *scene) {
		a := s.open("udp4", "0.0.0.0:0")
		b := s.open("udp4", "127.0.0.1:0")
		s.sendTo("to 0.0.0.0", b, "text", a.LocalAddr())
		a.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		s.receive("it arrives", a, 100)
	}, v4: true},
	{name: "a large datagram within a host", do: func(s *scene) {
		a, b := s.open("udp4", "127.0.0.1:0"), s.open("udp4", "127.0.0.1:0")
		n, err := b.WriteTo(make([]byte, 65507), a.LocalAddr())
		s.tell("the largest", n, err)
		n, _, err = a.ReadFrom(make([]byte, 1<<16))
		s.tell("it arrives", n, err)
		n, err = b.WriteTo(make([]byte, 65508), a.LocalAddr())
		s.tell("one byte more", n, err)
	}, v4: true},
	{name: "datagrams of every size", do: func(s *scene) {
		c, a := s.sockets()
		d := s.connected(a.LocalAddr())
		for _, n := range []int{1452, 1453, 1472, 1473, 4096, 8972, 9000, 32768, 65487, 65488, 65507} {
			b := make([]byte, 1<<16)
			sent, err := c.WriteTo(pattern(n, n), a.LocalAddr())
			s.tell("WriteTo", n, sent, err)
			got, _, err := a.ReadFrom(b)
			s.tell("it arrives", got, bytes.Equal(b[:got], pattern(n, n)), err)
			sent, err = d.Write(pattern(n, 1))
			s.tell("Write", n, sent, err)
			got, _, err = a.ReadFrom(b)
			s.tell("it arrives", got, bytes.Equal(b[:got], pattern(n, 1)), err)
		}
	}},
	{name: "a large datagram that is cut by its reader", do: func(s *scene) {
		c, a := s.sockets()
		c.WriteTo(pattern(20000, 1), a.LocalAddr())
		c.WriteTo(pattern(3000, 2), a.LocalAddr())
		b := make([]byte, 5000)
		n, _, flags, _, err := a.ReadMsgUDP(b, nil)
		s.tell("ReadMsgUDP", n, flags, bytes.Equal(b, pattern(20000, 1)[:5000]), err)
		n, _, flags, _, err = a.ReadMsgUDP(b, nil)
		s.tell("the next", n, flags, bytes.Equal(b[:n], pattern(3000, 2)), err)
	}},
	{name: "the largest datagrams of IPv6", do: func(s *scene) {
		c, a := s.sockets()
		if s.server.Is4() {
			s.tell("65508 over IPv4", mayWrite(c, 65508, a.LocalAddr()))
			return
		}
		for _, n := range []int{65508, 65527} {
			s.tell("WriteTo", n, mayWrite(c, n, a.LocalAddr()))
			n, _, err := a.ReadFrom(make([]byte, 1<<16))
			s.tell("it arrives", n, err)
		}
		s.tell("65528", mayWrite(c, 65528, a.LocalAddr()))
	}},
	{name: "buffers", do: func(s *scene) {
		c, _ := s.sockets()
		s.tell("SetReadBuffer", c.SetReadBuffer(4096))
		s.tell("SetWriteBuffer", c.SetWriteBuffer(4096))
		s.tell("of nothing", c.SetReadBuffer(0), c.SetWriteBuffer(0))
		s.tell("of less", c.SetReadBuffer(-1), c.SetWriteBuffer(-1))
	}},
	{name: "readers at one time share what comes", do: func(s *scene) {
		c, a := s.sockets()
		got := make(chan int)
		for range 4 {
			go func() {
				sum, b := 0, make([]byte, 100)
				for {
					n, _, err := a.ReadFrom(b)
					if err != nil || n == 0 {
						break
					}
					sum += n
				}
				got <- sum
			}()
		}
		for range 50 {
			c.WriteTo(make([]byte, 10), a.LocalAddr())
		}
		for range 4 {
			c.WriteTo(nil, a.LocalAddr())
		}
		s.tell("bytes", <-got+<-got+<-got+<-got)
	}},
}

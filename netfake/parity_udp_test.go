package netfake

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

func TestParityUDP(t *testing.T)       { checkParity(t, parityUDP) }
func TestParityUDPErrors(t *testing.T) { checkParity(t, parityUDPErrors) }

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

var parityUDPErrors = []parityCase{
	{name: "too long", do: func(s *scene) {
		c, a := s.sockets()
		n, err := c.WriteTo(make([]byte, 70000), a.LocalAddr())
		s.tell("WriteTo", n, err)
		n, _, err = c.WriteMsgUDP(make([]byte, 70000), nil, a.LocalAddr().(*net.UDPAddr))
		s.tell("WriteMsgUDP", n, err)
		d := s.connected(a.LocalAddr())
		n, err = d.Write(make([]byte, 70000))
		s.tell("Write", n, err)
		s.write("the socket goes on", d, "text")
		s.receive("it arrives", a, 100)
	}},
	{name: "nobody is there: a connected socket's read learns it", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		a.Close()
		s.write("a write", c, "x")
		s.read("a read", c, 1)
		c.SetReadDeadline(soon())
		s.read("it is told once", c, 1)
	}},
	{name: "nobody is there: a connected socket's write learns it", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		a.Close()
		s.write("a write", c, "x")
		s.settle()
		s.write("the next", c, "x")
	}},
	{name: "nobody is there: ReadFrom and ReadMsgUDP of a connected socket", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		a.Close()
		c.Write([]byte("x"))
		s.receive("ReadFrom", c, 1)
		c.Write([]byte("x"))
		_, _, _, _, err := c.ReadMsgUDP(make([]byte, 1), nil)
		s.tell("ReadMsgUDP", err)
		c.Write([]byte("x"))
		s.settle()
		_, _, err = c.WriteMsgUDP([]byte("x"), nil, nil)
		s.tell("WriteMsgUDP", err)
	}},
	{name: "nobody is there: a read that waits learns it", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		a.Close()
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		c.Write([]byte("x"))
		s.tell("the read", <-got)
	}},
	{name: "nobody is there: an unconnected socket does not learn it", do: func(s *scene) {
		c, a := s.sockets()
		a.Close()
		s.sendTo("a write", c, "x", a.LocalAddr())
		s.settle()
		s.sendTo("the next", c, "x", a.LocalAddr())
		c.SetReadDeadline(soon())
		s.receive("a read", c, 1)
	}},
	{name: "what was there before the error is read after it", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		a.WriteTo([]byte("text"), c.LocalAddr())
		s.readable(c)
		a.Close()
		c.Write([]byte("x"))
		s.settle()
		s.read("a read", c, 9)
		s.read("another", c, 9)
	}},
	{name: "destinations that are none", do: func(s *scene) {
		c, _ := s.sockets()
		s.sendTo("port 0", c, "x", &net.UDPAddr{IP: s.server.AsSlice()})
		s.sendTo("IPv6", c, "x", &net.UDPAddr{IP: net.IPv6loopback, Port: 9})
		_, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("[2001:db8::1]:9"))
		s.tell("IPv6", err)
		_, err = c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.AddrFrom16(s.server.As16()), 9))
		s.tell("IPv4 in IPv6's clothes", err)
		s.sendTo("broadcast", c, "x", &net.UDPAddr{IP: net.IPv4bcast, Port: 9})
	}, v4: true},
	{name: "a deadline in the past, before what is there", do: func(s *scene) {
		c, a := s.sockets()
		c.WriteTo([]byte("text"), a.LocalAddr())
		s.must(a.SetReadDeadline(past))
		s.receive("a read", a, 9)
		a.SetReadDeadline(time.Time{})
		s.receive("a read without one", a, 9)
	}},
	{name: "a write's deadline in the past", do: func(s *scene) {
		c, a := s.sockets()
		d := s.connected(a.LocalAddr())
		c.SetWriteDeadline(past)
		d.SetDeadline(past)
		s.sendTo("WriteTo", c, "x", a.LocalAddr())
		s.write("Write", d, "x")
		c.SetWriteDeadline(later())
		s.sendTo("WriteTo in time", c, "text", a.LocalAddr())
		s.receive("it arrives", a, 9)
	}},
	{name: "a read's deadline passes", do: func(s *scene) {
		c, _ := s.sockets()
		c.SetReadDeadline(soon())
		s.receive("a read", c, 1)
	}},
	{name: "a deadline that is set while somebody waits", do: func(s *scene) {
		c, _ := s.sockets()
		got := started(func() error { _, _, err := c.ReadFrom(make([]byte, 1)); return err })
		c.SetDeadline(past)
		s.tell("the read", <-got)
	}},
	{name: "closing wakes a read", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		c.Close()
		s.tell("the read", <-got)
	}},
	{name: "a closed socket", do: func(s *scene) {
		c, a := s.sockets()
		d := s.connected(a.LocalAddr())
		for _, c := range []udpConn{c, d} {
			s.tell("Close", c.Close())
			s.tell("Close again", c.Close())
			s.receive("ReadFrom", c, 1)
			s.read("Read", c, 1)
			s.sendTo("WriteTo", c, "x", a.LocalAddr())
			s.write("Write", c, "x")
			s.tell("SetDeadline", c.SetDeadline(later()))
			s.tell("SetReadDeadline", c.SetReadDeadline(past))
			s.tell("SetWriteDeadline", c.SetWriteDeadline(time.Time{}))
			s.tell("SetReadBuffer", c.SetReadBuffer(1))
			s.tell("SetWriteBuffer", c.SetWriteBuffer(1))
			s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
		}
	}},
	{name: "a port that is taken", do: func(s *scene) {
		_, a := s.sockets()
		for _, address := range []string{a.LocalAddr().String(), "0.0.0.0:" + portOf(a.LocalAddr())} {
			_, err := s.packets("udp4", address)
			s.tell("ListenPacket", err)
		}
		w := s.open("udp4", "0.0.0.0:0")
		_, err := s.packets("udp", s.at(portOf(w.LocalAddr())))
		s.tell("under a wildcard", err)
		other, err := s.packets("udp", "127.0.0.3:"+portOf(a.LocalAddr()))
		s.tell("at another address", err)
		if err == nil {
			other.Close()
		}
		a.Close()
		again, err := s.packets("udp", a.LocalAddr().String())
		s.tell("when it has closed", err)
		if err == nil {
			again.Close()
		}
	}, v4: true},
	{name: "a connected socket's port that is taken", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		_, err := s.dial(context.Background(), "udp", c.LocalAddr().String(), a.LocalAddr().String())
		s.tell("Dial", err)
	}},
	{name: "udp4 is what errors call it", do: func(s *scene) {
		c := s.open("udp4", s.from("0"))
		d, err := s.dial(context.Background(), "udp4", s.from("0"), s.at("9"))
		s.must(err)
		for _, c := range []net.Conn{c, d} {
			c.SetDeadline(past)
			s.read("a read", c, 1)
			c.Close()
			s.tell("Close again", c.Close())
		}
	}, v4: true},
}

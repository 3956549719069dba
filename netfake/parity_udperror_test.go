package netfake

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestParityUDPErrors(t *testing.T) { checkParity(t, parityUDPErrors) }

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
	{name: "what errors of a message to the peer call him", do: func(s *scene) {
		_, a := s.sockets()
		c := s.connected(a.LocalAddr())
		c.SetWriteDeadline(past)
		_, _, err := c.WriteMsgUDP([]byte("x"), nil, nil)
		s.tell("WriteMsgUDP", err)
		_, _, err = c.WriteMsgUDPAddrPort([]byte("x"), nil, netip.AddrPort{})
		s.tell("WriteMsgUDPAddrPort", err)
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
	{name: "addresses that are none", do: func(s *scene) {
		c, _ := s.sockets()
		for _, to := range []*net.UDPAddr{
			{IP: s.server.AsSlice(), Port: -1},
			{IP: s.server.AsSlice(), Port: 70000},
			{IP: net.IP{1, 2, 3}, Port: 9},
			nil,
		} {
			s.sendTo("WriteTo", c, "x", to)
			_, err := c.WriteToUDP([]byte("x"), to)
			s.tell("WriteToUDP", err)
			_, _, err = c.WriteMsgUDP([]byte("x"), nil, to)
			s.tell("WriteMsgUDP", err)
		}
		s.sendTo("an IPAddr", c, "x", &net.IPAddr{IP: s.server.AsSlice()})
	}},
	{name: "out-of-band data", do: func(s *scene) {
		c, a := s.sockets()
		to := a.LocalAddr().(*net.UDPAddr)
		d := s.connected(to)
		for _, oob := range [][]byte{nil, {1, 2, 3}, make([]byte, 32)} {
			n, oobn, err := c.WriteMsgUDP([]byte("x"), oob, to)
			s.tell("WriteMsgUDP", n, oobn, err)
			n, oobn, err = c.WriteMsgUDPAddrPort([]byte("x"), oob, to.AddrPort())
			s.tell("WriteMsgUDPAddrPort", n, oobn, err)
			n, oobn, err = d.WriteMsgUDP([]byte("x"), oob, nil)
			s.tell("WriteMsgUDP, connected", n, oobn, err)
			n, oobn, err = d.WriteMsgUDPAddrPort([]byte("x"), oob, netip.AddrPort{})
			s.tell("WriteMsgUDPAddrPort, connected", n, oobn, err)
		}
	}},
	{name: "ReadMsgUDP of a closed socket", do: func(s *scene) {
		c, _ := s.sockets()
		c.Close()
		n, oobn, flags, from, err := c.ReadMsgUDP(make([]byte, 1), make([]byte, 1))
		s.tell("ReadMsgUDP", n, oobn, flags, from == nil, err)
		n, oobn, flags, at, err := c.ReadMsgUDPAddrPort(make([]byte, 1), make([]byte, 1))
		s.tell("ReadMsgUDPAddrPort", n, oobn, flags, at, err)
		_, _, err = c.WriteMsgUDP([]byte("x"), nil, &net.UDPAddr{IP: s.server.AsSlice(), Port: 9})
		s.tell("WriteMsgUDP", err)
	}},
	{name: "a socket that is its own peer", do: func(s *scene) {
		c := s.open("udp", s.from("0"))
		s.sendTo("to itself", c, "text", c.LocalAddr())
		s.receive("it arrives", c, 9)
		at := c.LocalAddr().String()
		c.Close()
		d, err := s.dial(context.Background(), "udp", at, at)
		s.must(err)
		defer d.Close()
		s.write("connected", d, "text")
		s.read("it arrives", d, 9)
	}},
}

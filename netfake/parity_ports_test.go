package netfake

import (
	"context"
	"net"
	"strconv"
	"testing"
)

func TestParityPorts(t *testing.T) { checkParity(t, parityPorts) }

// tryListen tells what Listen gives, and closes it.
func (s *scene) tryListen(what, network, address string) {
	l, err := s.listen(network, address)
	s.tell(what, err)
	if err == nil {
		l.Close()
	}
}

// portOf returns a listener's port.
func portOf(addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String())
	return port
}

var parityPorts = []parityCase{
	{name: "a port that is taken", do: func(s *scene) {
		l := s.listener()
		s.tryListen("the same address", "tcp", l.Addr().String())
		s.tryListen("every address", "tcp4", "0.0.0.0:"+portOf(l.Addr()))
		l.Close()
		s.tryListen("when it has closed", "tcp", l.Addr().String())
	}, v4: true},
	{name: "a port that is taken at every address", do: func(s *scene) {
		l, err := s.listen("tcp4", "0.0.0.0:0")
		s.must(err)
		defer l.Close()
		s.tryListen("at one of them", "tcp", s.at(portOf(l.Addr())))
		s.tryListen("at every one", "tcp4", l.Addr().String())
	}, v4: true},
	{name: "another address of the same host", do: func(s *scene) {
		l := s.listener()
		s.tryListen("the same port", "tcp", "127.0.0.3:"+portOf(l.Addr()))
	}, v4: true},
	{name: "a port for TCP is free for UDP", do: func(s *scene) {
		l := s.listener()
		c, err := s.packets("udp", l.Addr().String())
		s.tell("UDP", err)
		if err == nil {
			c.Close()
		}
	}},
	{name: "port 0 is a free one, another each time", do: func(s *scene) {
		one, two := s.listener(), s.listener()
		s.tell("two", one.Addr().String() != two.Addr().String())
		s.tell("addresses", one.Addr(), two.Addr())
		number, err := strconv.Atoi(portOf(one.Addr()))
		s.tell("ephemeral", number >= firstEphemeral && number <= lastEphemeral, err)
	}},
	{name: "somebody else's address", do: func(s *scene) {
		s.tryListen("Listen", "tcp", "192.0.2.77:0")
		_, err := s.packets("udp", "192.0.2.77:0")
		s.tell("ListenPacket", err)
	}},
	{name: "networks that there are not", do: func(s *scene) {
		for _, network := range []string{"tcp5", "http", ""} {
			s.tryListen("Listen "+network, network, "127.0.0.1:0")
		}
		for _, network := range []string{"udp5", "http", ""} {
			_, err := s.packets(network, "127.0.0.1:0")
			s.tell("ListenPacket "+network, err)
		}
	}, v4: true},
	{name: "addresses that are none", do: func(s *scene) {
		for _, address := range []string{"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:999999999999",
			"127.0.0.1:1:2", "[127.0.0.1:0", "[::1", "::1:0x"} {
			s.tryListen("Listen "+address, "tcp4", address)
			c, err := s.packets("udp4", address)
			s.tell("ListenPacket "+address, err)
			if err == nil {
				c.Close()
			}
		}
	}, v4: true},
	// Of tcp4, net with cgo and net without it call a service differently.
	{name: "a service that there is not", do: func(s *scene) {
		s.tryListen("Listen", "tcp", "127.0.0.1:no-such-service")
		_, err := s.packets("udp", "127.0.0.1:no-such-service")
		s.tell("ListenPacket", err)
	}, v4: true},
	{name: "an IPv6 address for tcp4", do: func(s *scene) {
		s.tryListen("Listen", "tcp4", "[::1]:0")
	}, v4: true},
	{name: "the server's port is free again though its connection waits in TIME-WAIT", do: func(s *scene) {
		l := s.listener()
		c, a := s.join(l)
		a.Close()
		s.read("the client's read", c, 1)
		c.Close()
		l.Close()
		s.settle()
		s.tryListen("Listen", "tcp", l.Addr().String())
	}},
	{name: "the server's port is free again though a connection lives", do: func(s *scene) {
		l := s.listener()
		c, a := s.join(l)
		l.Close()
		again, err := s.listen("tcp", l.Addr().String())
		s.tell("Listen", err)
		if err == nil {
			defer again.Close()
			s.join(again)
		}
		s.write("a write", c, "text")
		s.read("a read", a, 9)
	}},
	{name: "the client's port, while it waits in TIME-WAIT", do: func(s *scene) {
		l := s.listener()
		c, a := s.join(l)
		c.Close()
		s.read("the server's read", a, 1)
		a.Close()
		s.settle()
		_, err := s.dial(context.Background(), "tcp", c.LocalAddr().String(), l.Addr().String())
		s.tell("Dial", err)
	}},
	{name: "the client's port, when the server waits in TIME-WAIT", do: func(s *scene) {
		l := s.listener()
		c, a := s.join(l)
		a.Close()
		s.read("the client's read", c, 1)
		c.Close()
		s.settle()
		again, err := s.dial(context.Background(), "tcp", c.LocalAddr().String(), l.Addr().String())
		s.tell("Dial", err)
		if err == nil {
			defer again.Close()
			s.accept("Accept", l)
			s.tell("the same port", again.LocalAddr().String() == c.LocalAddr().String())
		}
	}},
	{name: "the client's port, after a reset", do: func(s *scene) {
		l := s.listener()
		c, _ := s.join(l)
		c.SetLinger(0)
		c.Close()
		s.settle()
		again, err := s.dial(context.Background(), "tcp", c.LocalAddr().String(), l.Addr().String())
		s.tell("Dial", err)
		if err == nil {
			again.Close()
		}
	}},
	{name: "the port of a connection that lives", do: func(s *scene) {
		l := s.listener()
		c, _ := s.join(l)
		_, err := s.dial(context.Background(), "tcp", c.LocalAddr().String(), l.Addr().String())
		s.tell("Dial", err)
		_, err = s.dial(context.Background(), "tcp", c.LocalAddr().String(), s.listener().Addr().String())
		s.tell("to another server", err)
	}},
	{name: "two connections from ports of the system's choice", do: func(s *scene) {
		l := s.listener()
		one, _ := s.join(l)
		two, _ := s.join(l)
		s.tell("differ", one.LocalAddr().String() != two.LocalAddr().String())
	}},
	{name: "the port of a client, for a listener", do: func(s *scene) {
		l := s.listener()
		c, a := s.join(l)
		s.tryListen("while it lives", "tcp", c.LocalAddr().String())
		c.Close()
		s.read("the server's read", a, 1)
		a.Close()
		s.settle()
		s.tryListen("in TIME-WAIT", "tcp", c.LocalAddr().String())
	}},
	{name: "the port of a client that was reset, for a listener", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.read("the client's read", c, 1)
		s.tryListen("Listen", "tcp", c.LocalAddr().String())
	}},
	{name: "a port that a client has asked for is its own until it closes", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.read("a read of one who was given his port", c, 1)
		l := s.listener()
		again := func(what string) net.Conn {
			d, err := s.dial(context.Background(), "tcp", c.LocalAddr().String(), l.Addr().String())
			s.tell(what, err)
			if err != nil {
				return nil
			}
			b, err := l.Accept()
			s.must(err)
			b.(tcpConn).SetLinger(0)
			b.Close()
			s.read("a read of one who asked for it", d, 1)
			return d
		}
		d := again("a dial from it")
		again("a dial while it is not closed")
		s.tryListen("Listen", "tcp", c.LocalAddr().String())
		d.Close()
		again("a dial when it is").Close()
		s.tryListen("Listen", "tcp", c.LocalAddr().String())
	}, v4: true},
	{name: "the port of a client, for UDP", do: func(s *scene) {
		c, _ := s.pair()
		p, err := s.packets("udp", c.LocalAddr().String())
		s.tell("ListenPacket", err)
		if err == nil {
			p.Close()
		}
	}},
	{name: "a client that dials itself", do: func(s *scene) {
		free, err := s.listen("tcp", s.from("0"))
		s.must(err)
		free.Close()
		at := free.Addr().String()
		c, err := s.dial(context.Background(), "tcp", at, at)
		s.must(err)
		defer c.Close()
		s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
		s.write("a write", c, "text")
		s.read("a read", c, 9)
		s.tell("CloseWrite", c.(tcpConn).CloseWrite())
		s.read("the end", c, 9)
	}},
}

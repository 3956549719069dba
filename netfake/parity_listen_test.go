package netfake

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"
)

func TestParityListen(t *testing.T) { checkParity(t, parityListen) }
func TestParityPorts(t *testing.T)  { checkParity(t, parityPorts) }
func TestParityDial(t *testing.T)   { checkParity(t, parityDial) }

// accept tells what one Accept gives.
func (s *scene) accept(what string, l net.Listener) {
	c, err := l.Accept()
	s.tell(what, err)
	if c != nil {
		s.Cleanup(func() { c.Close() })
	}
}

var parityListen = []parityCase{
	{name: "a listener that closes", do: func(s *scene) {
		l := s.listener()
		s.tell("Close", l.Close())
		s.tell("Close again", l.Close())
		s.accept("Accept", l)
		s.tell("SetDeadline", l.SetDeadline(later()))
		s.tell("Addr", l.Addr())
	}},
	{name: "who was not accepted when it closes is reset", do: func(s *scene) {
		l := s.listener()
		c, err := s.connect(l.Addr())
		s.must(err)
		defer c.Close()
		l.Close()
		s.settle()
		s.read("a read", c, 1)
		s.read("another", c, 1)
	}},
	{name: "who was accepted when it closes goes on", do: func(s *scene) {
		l := s.listener()
		c, a := s.join(l)
		l.Close()
		s.write("a write", c, "text")
		s.read("a read", a, 9)
	}},
	{name: "closing wakes Accept", do: func(s *scene) {
		l := s.listener()
		got := started(func() error { _, err := l.Accept(); return err })
		l.Close()
		s.tell("Accept", <-got)
	}},
	{name: "a deadline in the past", do: func(s *scene) {
		l := s.listener()
		l.SetDeadline(past)
		s.accept("Accept", l)
		l.SetDeadline(time.Time{})
		c, err := s.connect(l.Addr())
		s.must(err)
		defer c.Close()
		s.accept("Accept without one", l)
	}},
	{name: "a deadline in the past, and somebody there", do: func(s *scene) {
		l := s.listener()
		c, err := s.connect(l.Addr())
		s.must(err)
		defer c.Close()
		s.settle()
		l.SetDeadline(past)
		s.accept("Accept", l)
	}},
	{name: "a deadline passes", do: func(s *scene) {
		l := s.listener()
		l.SetDeadline(soon())
		s.accept("Accept", l)
	}},
	{name: "a deadline that is set while somebody waits", do: func(s *scene) {
		l := s.listener()
		got := started(func() error { _, err := l.Accept(); return err })
		l.SetDeadline(past)
		s.tell("Accept", <-got)
	}},
	{name: "connections are accepted in their order", do: func(s *scene) {
		l := s.listener()
		for i := range 3 {
			c, err := s.connect(l.Addr())
			s.must(err)
			defer c.Close()
			c.Write([]byte(strconv.Itoa(i)))
		}
		for range 3 {
			a, err := l.Accept()
			s.must(err)
			defer a.Close()
			s.read("a read", a, 9)
		}
	}},
	{name: "one who reset before Accept is accepted all the same", do: func(s *scene) {
		l := s.listener()
		c, err := s.connect(l.Addr())
		s.must(err)
		c.(tcpConn).SetLinger(0)
		c.Close()
		s.settle()
		a, err := l.Accept()
		s.must(err)
		defer a.Close()
		s.read("a read", a, 1)
	}},
}

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
}

// tryDial tells what dialling gives.
func (s *scene) tryDial(what, network, address string) {
	c, err := s.dial(context.Background(), network, s.from("0"), address)
	s.tell(what, err)
	if err == nil {
		c.Close()
	}
}

var parityDial = []parityCase{
	{name: "nobody listens", do: func(s *scene) {
		l := s.listener()
		l.Close()
		s.tryDial("tcp", "tcp", l.Addr().String())
		s.tryDial("tcp4", "tcp4", l.Addr().String())
	}, v4: true},
	{name: "port 0", do: func(s *scene) {
		s.tryDial("port 0", "tcp", s.at("0"))
		s.tryDial("no port", "tcp", s.at(""))
	}},
	{name: "a context that was cancelled", do: func(s *scene) {
		l := s.listener()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, network := range []string{"tcp", "udp"} {
			_, err := s.dial(ctx, network, s.from("0"), l.Addr().String())
			s.tell(network, err)
		}
	}},
	{name: "a context whose deadline has passed", do: func(s *scene) {
		l := s.listener()
		ctx, cancel := context.WithDeadline(context.Background(), past)
		defer cancel()
		for _, network := range []string{"tcp", "udp"} {
			_, err := s.dial(ctx, network, s.from("0"), l.Addr().String())
			s.tell(network, err)
		}
	}},
	{name: "a context that ends after the dial", do: func(s *scene) {
		l := s.listener()
		ctx, cancel := context.WithCancel(context.Background())
		c, err := s.dial(ctx, "tcp", s.from("0"), l.Addr().String())
		s.must(err)
		defer c.Close()
		cancel()
		a, err := l.Accept()
		s.must(err)
		defer a.Close()
		s.write("a write", c, "text")
		s.read("a read", a, 9)
	}},
	{name: "networks that there are not", do: func(s *scene) {
		for _, network := range []string{"tcp5", "", "http"} {
			s.tryDial(network, network, s.at("80"))
		}
	}},
	{name: "addresses that are none", do: func(s *scene) {
		for _, address := range []string{"", "127.0.0.1", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:999999999999", "127.0.0.1:1:2",
			"127.0.0.1:no-such-service", "[127.0.0.1:80", "127.0.0.1]:80"} {
			s.tryDial("tcp "+address, "tcp", address)
			s.tryDial("udp "+address, "udp", address)
		}
	}, v4: true},
	{name: "an IPv6 address for tcp4", do: func(s *scene) {
		s.tryDial("tcp4", "tcp4", "[::1]:80")
		s.tryDial("udp4", "udp4", "[::1]:80")
	}, v4: true},
	{name: "an IPv4 address in IPv6's clothes", do: func(s *scene) {
		l := s.listener()
		c, err := s.dial(context.Background(), "tcp", s.from("0"), "[::ffff:"+s.server.String()+"]:"+portOf(l.Addr()))
		s.must(err)
		defer c.Close()
		s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
	}, v4: true},
	{name: "from somebody else's address", do: func(s *scene) {
		l := s.listener()
		for _, network := range []string{"tcp", "udp"} {
			_, err := s.dial(context.Background(), network, "192.0.2.77:0", l.Addr().String())
			s.tell(network, err)
		}
	}},
	{name: "UDP needs nobody there", do: func(s *scene) {
		c, err := s.dial(context.Background(), "udp", s.from("0"), s.at("9"))
		s.must(err)
		defer c.Close()
		s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
	}},
}

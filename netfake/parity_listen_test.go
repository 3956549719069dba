package netfake

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"
)

func TestParityListen(t *testing.T) { checkParity(t, parityListen) }
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
	{name: "many at once", do: func(s *scene) {
		for _, to := range []string{"224.0.0.1:9", "255.255.255.255:9"} {
			_, err := s.dial(context.Background(), "tcp", "0.0.0.0:0", to)
			s.tell(to, err)
		}
	}, v4: true},
	{name: "UDP needs nobody there", do: func(s *scene) {
		c, err := s.dial(context.Background(), "udp", s.from("0"), s.at("9"))
		s.must(err)
		defer c.Close()
		s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
	}},
}

package netfake

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestParityTCPEnds(t *testing.T)      { checkParity(t, parityTCPEnds) }
func TestParityTCPDeadlines(t *testing.T) { checkParity(t, parityTCPDeadlines) }
func TestParityTCPNames(t *testing.T)     { checkParity(t, parityTCPNames) }

// read tells what one Read gives.
func (s *scene) read(what string, c net.Conn, size int) {
	b := make([]byte, size)
	n, err := c.Read(b)
	s.tell(what, n, string(b[:n]), err)
}

// write tells what one Write gives.
func (s *scene) write(what string, c net.Conn, text string) {
	n, err := c.Write([]byte(text))
	s.tell(what, n, err)
}

// How connections end: FIN, RST, half-close, Close.
var parityTCPEnds = []parityCase{
	{name: "closing with unread data resets", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("unread"))
		s.readable(a)
		s.tell("Close", a.Close())
		s.settle()
		s.read("the first read", c, 1)
		s.read("the second", c, 1)
		s.write("a write", c, "x")
	}},
	{name: "what came before a RST is read", do: func(s *scene) {
		c, a := s.pair()
		a.Write([]byte("last words"))
		s.readable(c)
		a.SetLinger(0)
		a.Close()
		s.settle()
		s.read("the words", c, 100)
		s.read("a read", c, 1)
		s.read("another", c, 1)
	}},
	{name: "a write after a RST", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.settle()
		s.write("the first write", c, "x")
		s.write("the second", c, "x")
		s.read("a read", c, 1)
	}},
	{name: "a RST is told once, to a write or a read", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.settle()
		s.read("a read", c, 1)
		s.write("a write", c, "x")
	}},
	{name: "a RST wakes a read", do: func(s *scene) {
		c, a := s.pair()
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		a.SetLinger(0)
		a.Close()
		s.tell("the read", <-got)
	}},
	{name: "a RST wakes a write", do: func(s *scene) {
		c, a := s.pair()
		got := started(func() error {
			_, err := io.Copy(struct{ io.Writer }{c}, endless{})
			return err
		})
		a.Read(make([]byte, 1))
		a.SetLinger(0)
		a.Close()
		s.tell("the write", <-got)
	}},
	{name: "a write to one who has closed is taken, the next is not", do: func(s *scene) {
		c, a := s.pair()
		a.Close()
		s.read("a read", c, 1)
		s.write("the first write", c, "x")
		s.settle()
		s.write("the second", c, "x")
		s.read("a read", c, 1)
	}},
	{name: "SetLinger(-1) and SetLinger(5): an orderly end", do: func(s *scene) {
		for _, sec := range []int{-1, 5} {
			c, a := s.pair()
			s.tell("SetLinger", c.SetLinger(sec))
			c.Write([]byte("text"))
			s.tell("Close", c.Close())
			b, err := io.ReadAll(a)
			s.tell("the server reads", string(b), err)
		}
	}},
	{name: "SetLinger(0), taken back", do: func(s *scene) {
		c, a := s.pair()
		c.SetLinger(0)
		c.SetLinger(-1)
		c.Close()
		s.read("the server's read", a, 1)
	}},
	{name: "the end of the stream stays", do: func(s *scene) {
		c, a := s.pair()
		a.Write([]byte("text"))
		a.Close()
		s.read("text", c, 9)
		s.read("the end", c, 9)
		s.read("the end", c, 9)
		s.tell("CloseRead", c.CloseRead())
	}},
	{name: "Close delivers what was written", do: func(s *scene) {
		c, a := s.pair()
		got := make(chan int64)
		go func() {
			n, err := io.Copy(io.Discard, struct{ io.Reader }{a})
			s.tell("the copy", err)
			got <- n
		}()
		c.Write(make([]byte, 3<<20))
		c.Close()
		s.tell("bytes", <-got)
	}},
	{name: "closing wakes a read", do: func(s *scene) {
		c, _ := s.pair()
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		c.Close()
		s.tell("the read", <-got)
	}},
	{name: "closing wakes a write", do: func(s *scene) {
		c, _ := s.pair()
		got := started(func() error {
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
			}
		})
		c.Close()
		s.tell("the write", <-got)
	}},
	{name: "a closed connection", do: func(s *scene) {
		c, _ := s.pair()
		s.tell("Close", c.Close())
		s.tell("Close again", c.Close())
		s.read("Read", c, 1)
		s.read("Read of nothing", c, 0)
		s.write("Write", c, "x")
		s.write("Write of nothing", c, "")
		s.tell("CloseWrite", c.CloseWrite())
		s.tell("CloseRead", c.CloseRead())
		s.tell("SetDeadline", c.SetDeadline(later()))
		s.tell("SetReadDeadline", c.SetReadDeadline(past))
		s.tell("SetWriteDeadline", c.SetWriteDeadline(time.Time{}))
		s.tell("SetLinger", c.SetLinger(0))
		s.tell("SetNoDelay", c.SetNoDelay(true))
		s.tell("SetKeepAlive", c.SetKeepAlive(true))
		s.tell("SetKeepAlivePeriod", c.SetKeepAlivePeriod(time.Second))
		s.tell("SetKeepAliveConfig", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}))
		s.tell("SetReadBuffer", c.SetReadBuffer(4096))
		s.tell("SetWriteBuffer", c.SetWriteBuffer(4096))
		_, err := c.ReadFrom(strings.NewReader("x"))
		s.tell("ReadFrom", err)
		_, err = c.WriteTo(io.Discard)
		s.tell("WriteTo", err)
		s.tell("addresses", c.LocalAddr(), c.RemoteAddr())
	}},
	{name: "a write to one who has closed, when he said something before", do: func(s *scene) {
		c, a := s.pair()
		a.Write([]byte("text"))
		a.Close()
		s.settle()
		s.write("the first write", c, "x")
		s.settle()
		s.write("the second", c, "x")
		s.read("the text", c, 9)
		s.read("the end", c, 9)
	}},
	{name: "who has spoken and closed is accepted all the same", do: func(s *scene) {
		l := s.listener()
		c, err := s.connect(l.Addr())
		s.must(err)
		c.Write([]byte("text"))
		c.Close()
		s.settle()
		a, err := l.Accept()
		s.must(err)
		defer a.Close()
		s.read("the text", a, 9)
		s.read("the end", a, 9)
		s.write("a write", a, "x")
		s.settle()
		s.write("another", a, "x")
	}},
	{name: "a positive linger, when both have ended", do: func(s *scene) {
		c, a := s.pair()
		c.SetLinger(1)
		c.CloseWrite()
		s.read("the server's read", a, 1)
		s.tell("Close", c.Close(), a.Close())
	}},
}

// endless never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

var parityTCPDeadlines = []parityCase{
	{name: "deadlines in the past, before data that is there", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("x"))
		s.readable(a)
		a.SetReadDeadline(past)
		s.read("a read", a, 1)
		a.SetWriteDeadline(past)
		s.write("a write", a, "x")
		a.SetDeadline(time.Time{})
		s.read("a read without a deadline", a, 1)
		s.write("a write without one", a, "x")
	}},
	{name: "a deadline in the past, and nothing to do", do: func(s *scene) {
		c, _ := s.pair()
		c.SetDeadline(past)
		s.read("Read of nothing", c, 0)
		s.write("Write of nothing", c, "")
	}},
	{name: "a deadline in the past at the end of the stream", do: func(s *scene) {
		c, a := s.pair()
		a.Close()
		s.read("a read", c, 1)
		c.SetDeadline(past)
		s.read("with a deadline", c, 1)
		c.CloseWrite()
		s.write("a write", c, "x")
	}},
	{name: "a read's deadline passes", do: func(s *scene) {
		c, _ := s.pair()
		c.SetReadDeadline(soon())
		s.read("a read", c, 1)
		s.read("another", c, 1)
		s.write("a write", c, "x")
	}},
	{name: "a write's deadline passes", do: func(s *scene) {
		c, a := s.pair()
		text := make([]byte, 16<<20)
		c.SetWriteDeadline(soon())
		n, err := c.Write(text)
		s.tell("a write that does not fit", n < len(text), err)
		s.write("another", c, "x")
		a.Write([]byte("text"))
		s.read("a read", c, 9)
	}},
	{name: "a deadline that is moved while somebody waits", do: func(s *scene) {
		c, _ := s.pair()
		c.SetReadDeadline(later())
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		c.SetReadDeadline(past)
		s.tell("the read", <-got)
	}},
	{name: "a deadline that is set while somebody waits without one", do: func(s *scene) {
		c, _ := s.pair()
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		c.SetReadDeadline(soon())
		s.tell("the read", <-got)
	}},
	{name: "a deadline that passed is set again", do: func(s *scene) {
		c, a := s.pair()
		c.SetReadDeadline(soon())
		s.read("a read", c, 1)
		c.SetReadDeadline(later())
		a.Write([]byte("text"))
		s.read("a read", c, 9)
	}},
	{name: "a deadline does not end the connection", do: func(s *scene) {
		c, a := s.pair()
		c.SetDeadline(past)
		s.read("a read", c, 9)
		a.Write([]byte("text"))
		c.SetDeadline(time.Time{})
		s.read("a read", c, 9)
		s.write("a write", c, "text")
	}},
}

var parityTCPNames = []parityCase{
	{name: "addresses", do: func(s *scene) {
		c, a := s.pair()
		s.tell("the client's", c.LocalAddr(), c.RemoteAddr())
		s.tell("the server's", a.LocalAddr(), a.RemoteAddr())
		s.tell("networks", c.LocalAddr().Network(), a.RemoteAddr().Network())
	}},
	{name: "addresses behind a wildcard", do: func(s *scene) {
		l, err := s.listen("tcp4", "0.0.0.0:0")
		s.must(err)
		defer l.Close()
		s.tell("the listener's", l.Addr())
		_, port, _ := net.SplitHostPort(l.Addr().String())
		c, err := s.dial(context.Background(), "tcp", s.from("0"), s.at(port))
		s.must(err)
		defer c.Close()
		a, err := l.Accept()
		s.must(err)
		defer a.Close()
		s.tell("the server's", a.LocalAddr(), a.RemoteAddr())
	}, v4: true},
	{name: "tcp4 is what errors call it", do: func(s *scene) {
		l, err := s.listen("tcp4", s.at("0"))
		s.must(err)
		c, err := s.dial(context.Background(), "tcp4", s.from("0"), l.Addr().String())
		s.must(err)
		defer c.Close()
		a, err := l.Accept()
		s.must(err)
		defer a.Close()
		for _, c := range []net.Conn{c, a} {
			c.SetDeadline(past)
			s.read("a read", c, 1)
			s.write("a write", c, "x")
			c.Close()
			s.tell("Close again", c.Close())
		}
		l.Close()
		_, err = l.Accept()
		s.tell("Accept", err)
	}, v4: true},
}

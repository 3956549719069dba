package netfake

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParityTCPStreams(t *testing.T) { checkParity(t, parityTCPStreams) }

// What connections carry: reads, writes, copies, and the options that shape them.
var parityTCPStreams = []parityCase{
	{name: "reads of nothing", do: func(s *scene) {
		c, a := s.pair()
		s.read("with nothing there", c, 0)
		a.Write([]byte("text"))
		s.readable(c)
		s.read("with something there", c, 0)
		s.read("all of it", c, 9)
		a.Close()
		s.read("the end", c, 1)
		s.read("after the end", c, 0)
	}},
	{name: "writes of nothing", do: func(s *scene) {
		c, a := s.pair()
		s.write("at the beginning", c, "")
		c.Write([]byte("text"))
		s.read("the server's read", a, 9)
		c.CloseWrite()
		s.write("after CloseWrite", c, "")
	}},
	{name: "a write of nothing after a RST", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.settle()
		s.write("the first", c, "")
		s.write("the second", c, "")
	}},
	{name: "a read takes what is there, and no more than fits", do: func(s *scene) {
		c, a := s.pair()
		a.Write([]byte("some text"))
		s.readable(c)
		s.read("four bytes", c, 4)
		s.read("the rest", c, 100)
	}},
	{name: "a large write arrives whole", do: func(s *scene) {
		c, a := s.pair()
		text := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		go func() {
			n, err := c.Write(text)
			s.tell("the write", n, err)
			c.Close()
		}()
		b, err := io.ReadAll(a)
		s.settle()
		s.tell("the read", len(b), bytes.Equal(b, text), err)
	}},
	{name: "many small writes arrive in order", do: func(s *scene) {
		c, a := s.pair()
		go func() {
			for i := range 1000 {
				c.Write([]byte{byte(i)})
			}
			c.Close()
		}()
		b, err := io.ReadAll(a)
		ordered := true
		for i := range b {
			ordered = ordered && b[i] == byte(i)
		}
		s.tell("the read", len(b), ordered, err)
	}},
	{name: "readers at one time share what comes", do: func(s *scene) {
		c, a := s.pair()
		sums := make(chan int)
		for range 4 {
			go func() {
				sum, b := 0, make([]byte, 7)
				for {
					n, err := a.Read(b)
					for _, v := range b[:n] {
						sum += int(v)
					}
					if err != nil {
						break
					}
				}
				sums <- sum
			}()
		}
		for i := range 200 {
			c.Write(bytes.Repeat([]byte{byte(i)}, 10))
		}
		c.Close()
		s.tell("the sum", <-sums+<-sums+<-sums+<-sums)
	}},
	{name: "writers at one time do not mix", do: func(s *scene) {
		c, a := s.pair()
		var group sync.WaitGroup
		for _, letter := range []byte("abc") {
			group.Go(func() { c.Write(bytes.Repeat([]byte{letter}, 2<<20)) })
		}
		go func() {
			group.Wait()
			c.Close()
		}()
		b, err := io.ReadAll(a)
		changes := 0
		for i := range b[1:] {
			if b[i] != b[i+1] {
				changes++
			}
		}
		s.tell("the read", len(b), changes, err)
	}},
	{name: "reading and writing at one time", do: func(s *scene) {
		c, a := s.pair()
		go func() {
			io.Copy(struct{ io.Writer }{a}, struct{ io.Reader }{a})
			a.CloseWrite()
		}()
		go func() {
			c.Write(make([]byte, 2<<20))
			c.CloseWrite()
		}()
		n, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		s.tell("the echo", n, err)
	}},
	{name: "io.Copy to a connection", do: func(s *scene) {
		c, a := s.pair()
		n, err := io.Copy(c, strings.NewReader("some text"))
		s.tell("the copy", n, err)
		s.read("the server's read", a, 100)
	}},
	{name: "io.Copy from a connection", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("some text"))
		c.Close()
		var b bytes.Buffer
		n, err := io.Copy(&b, a)
		s.tell("the copy", n, b.String(), err)
	}},
	{name: "io.Copy from a source that fails", do: func(s *scene) {
		c, _ := s.pair()
		n, err := io.Copy(c, io.MultiReader(strings.NewReader("text"), failing{}))
		s.tell("the copy", n, err)
	}},
	{name: "io.Copy to a sink that fails", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("text"))
		n, err := io.Copy(failing{}, a)
		s.tell("the copy", n, err)
	}},
	{name: "io.Copy to a connection that was reset", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.settle()
		n, err := io.Copy(c, struct{ io.Reader }{strings.NewReader("text")})
		s.tell("the copy", n, err)
	}},
	{name: "io.Copy from a connection that was reset", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.settle()
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, c)
		s.tell("the copy", n, err)
	}},
	{name: "io.Copy from a connection whose deadline passed", do: func(s *scene) {
		c, _ := s.pair()
		c.SetReadDeadline(past)
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, c)
		s.tell("the copy", n, err)
	}},
	{name: "io.Copy between connections", do: func(s *scene) {
		from, source := s.pair()
		to, sink := s.pair()
		source.Write([]byte("some text"))
		source.Close()
		n, err := io.Copy(to, from)
		s.tell("the copy", n, err)
		s.read("the sink's read", sink, 100)
	}},
	{name: "io.Copy between connections, from one that was reset", do: func(s *scene) {
		from, source := s.pair()
		to, _ := s.pair()
		source.SetLinger(0)
		source.Close()
		s.settle()
		n, err := io.Copy(to, from)
		s.tell("the copy", n, err)
	}},
	{name: "io.Copy between connections, to one that was reset", do: func(s *scene) {
		from, source := s.pair()
		to, sink := s.pair()
		sink.SetLinger(0)
		sink.Close()
		source.Write([]byte("some text"))
		source.Close()
		s.settle()
		n, err := io.Copy(to, from)
		s.tell("the copy", n, err)
		n, err = to.ReadFrom(from)
		s.tell("ReadFrom", n, err)
	}},
	{name: "io.Copy between connections that are closed or too late", do: func(s *scene) {
		from, source := s.pair()
		to, _ := s.pair()
		from.SetReadDeadline(past)
		n, err := to.ReadFrom(from)
		s.tell("from one that is too late", n, err)
		from.SetReadDeadline(time.Time{})
		source.Write([]byte("some text"))
		s.readable(from)
		to.Close()
		n, err = io.CopyN(to, from, 4)
		s.tell("to one that is closed", n, err)
		from.Close()
		n, err = io.Copy(to, from)
		s.tell("from one that is closed", n, err)
	}},
	{name: "net.Buffers", do: func(s *scene) {
		c, a := s.pair()
		b := net.Buffers{[]byte("some "), nil, []byte("text")}
		n, err := b.WriteTo(c)
		s.tell("the write", n, len(b), err)
		c.Close()
		all, err := io.ReadAll(a)
		s.tell("the read", string(all), err)
	}},
	{name: "the options", do: func(s *scene) {
		c, a := s.pair()
		for _, on := range []bool{false, true} {
			s.tell("SetNoDelay", c.SetNoDelay(on))
			s.tell("SetKeepAlive", c.SetKeepAlive(on))
		}
		s.tell("SetKeepAlivePeriod", c.SetKeepAlivePeriod(time.Minute))
		s.tell("SetKeepAlivePeriod of less than a second", c.SetKeepAlivePeriod(time.Millisecond))
		s.tell("SetKeepAliveConfig", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: time.Second, Count: 3}))
		s.tell("SetKeepAliveConfig, off", c.SetKeepAliveConfig(net.KeepAliveConfig{}))
		s.tell("SetKeepAliveConfig, unchanged", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}))
		s.tell("SetReadBuffer", c.SetReadBuffer(1<<16))
		s.tell("SetWriteBuffer", c.SetWriteBuffer(1<<16))
		s.write("a write", c, "text")
		s.read("a read", a, 9)
	}},
	{name: "values that the options do not take", do: func(s *scene) {
		c, _ := s.pair()
		s.tell("SetKeepAlivePeriod", c.SetKeepAlivePeriod(24*time.Hour))
		s.tell("SetKeepAliveConfig, idle", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 24 * time.Hour}))
		s.tell("SetKeepAliveConfig, interval", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Interval: 24 * time.Hour}))
		s.tell("SetKeepAliveConfig, count", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: 1000}))
		s.tell("SetReadBuffer", c.SetReadBuffer(0), c.SetReadBuffer(-1))
		s.tell("SetWriteBuffer", c.SetWriteBuffer(0), c.SetWriteBuffer(-1))
	}},
}

// failing fails whatever is done with it.
type failing struct{}

var errFailing = errors.New("out of order")

func (failing) Read([]byte) (int, error)  { return 0, errFailing }
func (failing) Write([]byte) (int, error) { return 0, errFailing }

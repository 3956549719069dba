// Package loopback measures a simulated network against the kernel's own: the same
// work over both, in turns and in one run, so that the load of the machine counts for
// both.
package loopback

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Network is one side of a comparison: where a server listens, and how its client
// connects to it.
type Network struct {
	Listen func() (net.Listener, error)
	Dial   func(addr string) (net.Conn, error)
}

// Kernel returns the kernel's loopback.
func Kernel() Network {
	return Network{
		Listen: func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
		Dial:   func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) },
	}
}

// work is what a benchmark repeats n times.
type work func(n int)

// Compare runs the benchmarks bulk, roundtrip, dial and http over a network and reports
// for each, besides its own numbers, x-loopback: how many times as fast as the kernel's
// loopback it was.
func Compare(b *testing.B, open func(b *testing.B) Network) {
	for _, row := range []struct {
		name  string
		bytes int64
		setup func(b *scope, n Network) work
	}{
		{"bulk", bulkSize, bulk},
		{"roundtrip", 0, roundtrip},
		{"dial", 0, dial},
		{"http", 0, get},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(row.bytes)
			inTurns(b, row.setup(&scope{B: b}, open(b)), func(s *scope) work { return row.setup(s, Kernel()) })
		})
	}
}

// turns is into how many pieces a comparison is cut.
const turns = 10

// scope is a benchmark whose resources are given back before it ends, if somebody does so.
type scope struct {
	*testing.B
	cleanups []func()
}

func (s *scope) Cleanup(f func()) {
	if s.cleanups == nil {
		s.B.Cleanup(s.end)
	}
	s.cleanups = append(s.cleanups, f)
}

func (s *scope) end() {
	for len(s.cleanups) > 0 {
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		f()
	}
}

// inTurns does b.N pieces of both works, by turns, and counts the time of ours. The kernel's
// sockets are there for its turns alone: for one at which somebody waits, Go's scheduler
// asks the kernel whenever it finds nothing else to do, at the expense of ours.
func inTurns(b *testing.B, ours work, setup func(*scope) work) {
	ours(1) // what only the first does is not of interest
	var spent, kernel time.Duration
	step := (b.N + turns - 1) / turns
	b.ResetTimer()
	for left := b.N; left > 0; left -= step {
		n := min(step, left)
		began := time.Now()
		ours(n)
		spent += time.Since(began)
		b.StopTimer()
		own := &scope{B: b}
		kernels := setup(own)
		kernels(1)
		began = time.Now()
		kernels(n)
		kernel += time.Since(began)
		own.end()
		b.StartTimer()
	}
	b.ReportMetric(float64(kernel)/float64(spent), "x-loopback")
}

// connect opens a connection whose other end serve has. Both close with the benchmark.
func connect(b *scope, network Network, serve func(net.Conn)) net.Conn {
	b.Helper()
	l := must[net.Listener](b)(network.Listen())
	c := must[net.Conn](b)(network.Dial(l.Addr().String()))
	s := must[net.Conn](b)(l.Accept())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(s)
	}()
	b.Cleanup(func() {
		c.Close()
		s.Close()
		l.Close()
		<-done
	})
	return c
}

func must[T any](b testing.TB) func(T, error) T {
	return func(v T, err error) T {
		if err != nil {
			b.Helper() // it takes longer than much of what is measured
			b.Fatal(err)
		}
		return v
	}
}

const bulkSize = 64 << 10

// bulk sends pieces of 64 KiB one way, and waits at the end until all have come.
func bulk(b *scope, network Network) work {
	arrived := make(chan int, 1)
	want := make(chan int, 1)
	c := connect(b, network, func(s net.Conn) {
		buf := make([]byte, bulkSize)
		for n := range want {
			got := 0
			for got < n {
				k, err := s.Read(buf)
				if err != nil {
					return
				}
				got += k
			}
			arrived <- got
		}
	})
	b.Cleanup(func() { close(want) })
	piece := make([]byte, bulkSize)
	return func(n int) {
		want <- n * bulkSize
		for range n {
			if _, err := c.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		<-arrived
	}
}

// roundtrip sends one byte to and fro.
func roundtrip(b *scope, network Network) work {
	c := connect(b, network, func(s net.Conn) {
		buf := make([]byte, 1)
		for {
			if _, err := s.Read(buf); err != nil {
				return
			}
			s.Write(buf)
		}
	})
	buf := make([]byte, 1)
	return func(n int) {
		for range n {
			c.Write(buf)
			if _, err := c.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// dial opens, accepts and closes a connection. The client resets it, on either side of
// the comparison, so that none waits in TIME-WAIT.
func dial(b *scope, network Network) work {
	l := must[net.Listener](b)(network.Listen())
	b.Cleanup(func() { l.Close() })
	addr := l.Addr().String()
	return func(n int) {
		for range n {
			c := must[net.Conn](b)(network.Dial(addr))
			s := must[net.Conn](b)(l.Accept())
			c.(interface{ SetLinger(int) error }).SetLinger(0)
			c.Close()
			s.Close()
		}
	}
}

// get fetches a KiB over a connection that is kept alive.
func get(b *scope, network Network) work {
	l := must[net.Listener](b)(network.Listen())
	page := make([]byte, 1<<10)
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(page) })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	addr := l.Addr().String()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return network.Dial(addr) }}
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-done
	})
	client := &http.Client{Transport: transport}
	return func(n int) {
		for range n {
			resp := must[*http.Response](b)(client.Get("http://" + addr + "/"))
			if k, err := io.Copy(io.Discard, resp.Body); k != int64(len(page)) || err != nil {
				b.Fatalf("got %d bytes: %v", k, err)
			}
			resp.Body.Close()
		}
	}
}

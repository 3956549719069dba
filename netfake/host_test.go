package netfake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// twoHosts are a server in Sydney and a client in Melbourne.
func twoHosts(w *World) (server, client *Host) {
	return w.Internet().HostAt(Sydney, "server", "203.0.113.10"),
		w.Internet().HostAt(Melbourne, "client", "198.51.100.20")
}

// onlyIPv6 are twoHosts with IPv6 addresses alone.
func onlyIPv6(w *World) (server, client *Host) {
	return w.Internet().HostAt(Sydney, "server", "2001:db8::10"),
		w.Internet().HostAt(Melbourne, "client", "2001:db8::20")
}

// oneWay is how long a packet takes between the two.
var oneWay = 2*LastMile + Sydney.Delay(Melbourne)

func echoServer(t *testing.T, h *Host, addr string) {
	t.Helper()
	l, err := h.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h.World().Go(func(context.Context) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	})
}

// sink accepts connections and returns how many bytes it has read when asked.
func sink(t *testing.T, h *Host, addr string) (read func(n int) time.Duration) {
	t.Helper()
	l, err := h.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	type arrival struct {
		n  int64
		at time.Duration
	}
	arrived := make(chan arrival, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, c)
			arrived <- arrival{n, h.World().Now()}
		}
	}()
	return func(n int) time.Duration {
		t.Helper()
		a := <-arrived
		if a.n != int64(n) {
			t.Errorf("%d bytes arrived, want %d", a.n, n)
		}
		return a.at
	}
}

func dialTCPFrom(t *testing.T, h *Host, addr string) *TCPConn {
	t.Helper()
	c, err := h.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*TCPConn)
}

func TestEcho(t *testing.T) { Run(t, testEcho) }

func testEcho(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	began := w.Now()
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Now() - began; got != 2*oneWay {
		t.Errorf("a handshake took %v, want one round trip, %v", got, 2*oneWay)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		c.Write(sent)
		c.(*TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("sent %d bytes, got %d back: %v", len(sent), len(got), err)
	}
	if server.LastPeer() != client.Addr() {
		t.Errorf("server's last peer is %v, want %v", server.LastPeer(), client.Addr())
	}
}

func TestDialErrors(t *testing.T) {
	// What a dialer sees, by what happens to its SYN.
	for _, row := range []struct {
		name    string
		address string
		timeout time.Duration // 0: none
		err     error
		after   time.Duration
	}{
		{"nobody listens: refused after a round trip", "203.0.113.10:81", 0, syscall.ECONNREFUSED, 2 * oneWay},
		{"nobody there: silence until SYN retries end", "203.0.113.99:80", 0, syscall.ETIMEDOUT, 127 * time.Second},
		{"nobody there: silence until the deadline", "203.0.113.99:80", 3 * time.Second, context.DeadlineExceeded, 3 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				_, client := twoHosts(w)
				ctx := t.Context()
				if row.timeout != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.timeout)
					defer cancel()
				}
				began := w.Now()
				_, err := client.DialContext(ctx, "tcp", row.address)
				var op *net.OpError
				if !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, row.err) {
					t.Errorf("got %v, want a dial's *net.OpError with %v", err, row.err)
				}
				if got := w.Now() - began; got != row.after {
					t.Errorf("it took %v, want %v", got, row.after)
				}
			})
		})
	}
}

func TestReadDeadline(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		echoServer(t, server, ":7")
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		began := w.Now()
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the deadline's error", err)
		}
		if got := w.Now() - began; got != 5*time.Second {
			t.Errorf("the deadline passed after %v", got)
		}
		c.SetReadDeadline(time.Time{})
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the deadline was lifted: %v", err)
		}
	})
}

func TestHTTP(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(rw, "hello %s", r.RemoteAddr)
		}))
		resp, err := client.HTTPClient().Get("http://203.0.113.10/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !bytes.HasPrefix(body, []byte("hello 198.51.100.20:")) {
			t.Errorf("got %q", body)
		}
	})
}

func TestUDP(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		pc, err := server.ListenPacket("udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial("udp", "203.0.113.10:53")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("question"))
		b := make([]byte, 100)
		n, from, err := pc.ReadFrom(b)
		if err != nil || string(b[:n]) != "question" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
		pc.WriteTo([]byte("answer"), from)
		if n, err = c.Read(b); err != nil || string(b[:n]) != "answer" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
		// A closed port is reported to a connected socket, once.
		pc.Close()
		c.Write([]byte("again"))
		if _, err := c.Read(b); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after the port closed: got %v, want ECONNREFUSED", err)
		}
		if _, err := c.Write(make([]byte, 65508)); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("a datagram beyond all lengths: got %v, want EMSGSIZE", err)
		}
	})
}

func TestPing(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		_, client := twoHosts(w)
		rtt, err := client.Ping(t.Context(), netip.MustParseAddr("203.0.113.10"))
		if err != nil || rtt != 2*oneWay {
			t.Errorf("got %v, %v, want %v", rtt, err, 2*oneWay)
		}
		if _, err := client.Ping(t.Context(), netip.MustParseAddr("203.0.113.99")); err == nil {
			t.Error("somebody answered who is not there")
		}
	})
}

// A day passes at once, with a listener and an idle connection in the world. Without
// keep-alives nothing happens in it.
func TestIdleDay(t *testing.T) {
	RunConfig(t, Config{KeepAlive: -1}, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		echoServer(t, server, ":7")
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		before := w.Events()
		time.Sleep(24 * time.Hour)
		if n := w.Events() - before; n > 10 {
			t.Errorf("%d events happened while nobody did anything", n)
		}
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("after a day: %v", err)
		}
	})
}

// Who crashes says nothing: the other end learns by its retransmissions' timeout.
func TestCrash(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		echoServer(t, server, ":7")
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		restart := server.Crash()
		c.Write([]byte("x"))
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read from a crashed host: %v", err)
		}
		restart.Undo()
		c.SetReadDeadline(time.Time{})
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after the host came back without the connection: %v, want ECONNRESET", err)
		}
	})
}

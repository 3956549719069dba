package netfake

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// SetLinger(n) has Close wait until the other end has acknowledged everything, or n
// seconds, as Linux does.
func TestLinger(t *testing.T) {
	for _, row := range []struct {
		rule   string
		sec    int
		write  int
		prior  func(c *TCPConn) // to the close
		undo   time.Duration    // when the way is open again; 0 is that it is never closed
		took   time.Duration    // by Close
		eof    bool             // the other end reads everything, and the end
		unread int              // that the other end sent before, and nobody read
	}{
		{"by default Close returns at once", -1, 1000, nil, 0, 0, true, 0},
		{"with 0 too, and resets", 0, 1000, nil, 0, 0, false, 0},
		{"else when data and FIN are acknowledged", 10, 1000, nil, 0, 2 * oneWay, true, 0},
		{"a FIN alone has to be acknowledged as well", 10, 0, nil, 0, 2 * oneWay, true, 0},
		{"nothing is left to wait for", 10, 0, func(c *TCPConn) {
			c.CloseWrite()
			time.Sleep(time.Second)
		}, 0, 0, true, 0},
		{"no longer than asked, and then it goes on all the same", 1, 1000, nil, 2 * time.Second, time.Second, true, 0},
		{"unread data resets at once", 10, 0, nil, 0, 0, false, 5},
	} {
		Run(t, func(t *testing.T, w *World) {
			_, client, c, s := dialPair(t, w, Dialer{})
			if row.unread > 0 {
				s.Write(make([]byte, row.unread))
				time.Sleep(time.Second)
			}
			if row.undo > 0 {
				time.AfterFunc(row.undo, client.Uplink().Link().Partition().Undo)
			}
			c.SetLinger(row.sec)
			c.Write(make([]byte, row.write))
			if row.prior != nil {
				row.prior(c)
			}
			began := w.Now()
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", row.rule, err)
			}
			if took := w.Now() - began; took != row.took {
				t.Errorf("%s: Close took %v, want %v", row.rule, took, row.took)
			}
			n, err := 0, error(nil)
			for b := make([]byte, 4096); err == nil; {
				var more int
				more, err = s.Read(b)
				n += more
			}
			if eof := err.Error() == "EOF" && n == row.write; eof != row.eof {
				t.Errorf("%s: %d bytes arrived, then %v", row.rule, n, err)
			}
		})
	}
}

// A datagram comes as far as its TTL, or its hop limit, and a connected socket is told
// nothing of one that does not.
func TestSetTTLOfUDP(t *testing.T) { Run(t, testSetTTLOfUDP) }

func testSetTTLOfUDP(t *testing.T, w *World) {
	server, client := twoHosts6(w)
	in, err := server.ListenPacket("udp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"203.0.113.10:9", "[2001:db8:1::10]:9"} {
		c, err := client.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		u := c.(*UDPConn)
		for _, ttl := range []int{-1, 0, 256} {
			want(t, fmt.Sprintf("a TTL of %d", ttl), u.SetTTL(ttl), syscall.EINVAL)
		}
		for ttl := range 4 {
			if ttl > 0 {
				want(t, "SetTTL", u.SetTTL(ttl), nil)
			}
			_, err := u.Write([]byte{byte(ttl)})
			want(t, "a write", err, nil)
		}
		var got []byte
		for b := make([]byte, 1); ; got = append(got, b[0]) {
			in.SetReadDeadline(time.Now().Add(time.Second))
			if _, _, err := in.ReadFrom(b); err != nil {
				break
			}
		}
		if string(got) != "\x00\x03" {
			t.Errorf("to %s come %v: those without a TTL of their own, and of 3", to, got)
		}
		u.Close()
		want(t, "on a closed socket", u.SetTTL(64), net.ErrClosed)
	}
}

// No socket shows a descriptor: a library that finds none does without, and one that found
// one and could not use it would give up.
func TestNoDescriptors(t *testing.T) {
	for _, socket := range []any{&TCPConn{}, &UDPConn{}, &Listener{}} {
		if _, ok := socket.(syscall.Conn); ok {
			t.Errorf("%T has a SyscallConn", socket)
		}
		if _, ok := socket.(interface{ File() (*os.File, error) }); ok {
			t.Errorf("%T has a File", socket)
		}
	}
}

// A segment comes as far as its TTL, and so does what is sent again. The destination is
// behind two routers.
func TestSetTTL(t *testing.T) { Run(t, testSetTTL) }

func testSetTTL(t *testing.T, w *World) {
	_, _, c, s := dialPair(t, w, Dialer{})
	for _, ttl := range []int{-1, 0, 256} {
		if err := c.SetTTL(ttl); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("a TTL of %d: %v", ttl, err)
		}
	}
	if err := c.SetTTL(2); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("hello"))
	b := make([]byte, 10)
	s.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := s.Read(b); n > 0 {
		t.Errorf("with a TTL of 2 come %q, %v", b[:n], err)
	}
	c.SetTTL(3)
	s.SetReadDeadline(time.Time{})
	if n, err := s.Read(b); string(b[:n]) != "hello" {
		t.Errorf("with a TTL of 3 come %q, %v", b[:n], err)
	}
	c.Close()
	if err := c.SetTTL(64); !errors.Is(err, net.ErrClosed) {
		t.Errorf("on a closed connection: %v", err)
	}
}

package netfake_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// When a host's programs end, each of its sockets ends as its owner's end makes it; the
// stack answers on, and once the host is switched off nothing does.
func TestPower(t *testing.T) { netfake.Run(t, testPower) }

func testPower(t *testing.T, w *netfake.World) {
	a, b := w.Internet().Host("a", "203.0.113.1"), w.Internet().Host("b", "203.0.113.2")
	l, err := a.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	u, err := a.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (theirs, ours net.Conn) {
		t.Helper()
		c, err := b.Dial("tcp", "203.0.113.1:7")
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c, s
	}
	quiet, ours := dial()
	unread, _ := dial()
	written, writer := dial()
	unaccepted, err := b.Dial("tcp", "203.0.113.1:7")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(unread, "hello")
	w.Sleep(time.Second)
	io.WriteString(writer, "goodbye")
	dialled := make(chan error, 1)
	go func() { _, err := a.Dial("tcp", "203.0.113.99:7"); dialled <- err }()
	waits := make(chan error, 1)
	go func() { _, err := ours.Read(make([]byte, 1)); waits <- err }()
	w.Sleep(time.Millisecond)

	w.Do(func(time.Duration) { a.EndPrograms(); a.EndPrograms() })
	for name, err := range map[string]error{"a Dial": <-dialled, "a Read": <-waits} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s under way: %v", name, err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, _, err := u.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ReadFrom: %v", err)
	}
	for _, row := range []struct {
		name string
		c    net.Conn
		want string
		err  error
	}{
		{"a connection that rests", quiet, "", nil},
		{"one with something written", written, "goodbye", nil},
		{"one with something that was not read", unread, "", syscall.ECONNRESET},
		{"one that nobody had accepted", unaccepted, "", syscall.ECONNRESET},
	} {
		got, err := io.ReadAll(row.c)
		if string(got) != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %q, %v", row.name, got, err)
		}
	}
	if _, err := b.Dial("tcp", "203.0.113.1:7"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling it: %v", err)
	}
	if _, err := b.Ping(t.Context(), a.Addr()); err != nil {
		t.Errorf("a ping: %v", err)
	}
	if _, err := a.ListenPacket("udp", ":8"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a socket anew: %v", err)
	}

	w.Do(func(time.Duration) { a.PowerOff() })
	if r := b.Probe(a.TCP(7)); r.Outcome != netfake.Silence || r.Blocker().Rule != "the host is switched off" {
		t.Errorf("switched off: %v", r)
	}
	w.Do(func(time.Duration) { a.PowerOn() })
	if _, err := a.Listen("tcp", ":7"); err != nil {
		t.Error(err)
	}
	if r := b.Probe(a.TCP(7)); r.Outcome != netfake.Answered {
		t.Errorf("switched on: %v", r)
	}
}

// A host that has crashed has no programs that could end.
func TestPowerOfCrashed(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		a, b := w.Internet().Host("a", "203.0.113.1"), w.Internet().Host("b", "203.0.113.2")
		a.Crash()
		w.Do(func(time.Duration) { a.EndPrograms(); a.PowerOff(); a.PowerOn() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Ping(ctx, a.Addr()); err == nil {
			t.Error("it answers")
		}
		a.Restart()
		if _, err := b.Ping(t.Context(), a.Addr()); err != nil {
			t.Error(err)
		}
	})
}

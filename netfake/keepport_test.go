package netfake

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

func TestKeptPortEndsWithTheHost(t *testing.T)  { Run(t, testKeptPortEndsWithTheHost) }
func TestKeptPortIsNotEphemeral(t *testing.T)   { Run(t, testKeptPortIsNotEphemeral) }
func TestKeptPortOfADialThatFails(t *testing.T) { Run(t, testKeptPortOfADialThatFails) }

// resetFrom dials from a port of the client, and has the server reset the connection.
func resetFrom(t *testing.T, client *Host, l net.Listener, port uint16) net.Conn {
	t.Helper()
	c, err := dialFrom(client, port)
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a.(*TCPConn).SetLinger(0)
	a.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the read: %v", err)
	}
	return c
}

func dialFrom(client *Host, port uint16) (net.Conn, error) {
	d := Dialer{Host: client, LocalAddr: netip.AddrPortFrom(client.Addr(), port)}
	return d.DialContext(context.Background(), "tcp", "203.0.113.10:80")
}

// A crash ends the sockets of the host: nothing that an application does with one
// afterwards keeps a port.
func testKeptPortEndsWithTheHost(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, _ := server.Listen("tcp", ":80")
	c := resetFrom(t, client, l, 5000)
	if _, err := dialFrom(client, 5000); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("while it is kept: %v", err)
	}
	client.Crash()
	client.Restart()
	c.(*TCPConn).CloseRead()
	if _, err := dialFrom(client, 5000); err != nil {
		t.Errorf("after the crash: %v", err)
	}
}

func testKeptPortIsNotEphemeral(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, _ := server.Listen("tcp", ":80")
	c := resetFrom(t, client, l, 40000)
	client.SetEphemeralPorts(40000, 40000)
	if _, err := dialFrom(client, 0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("while it is kept: %v", err)
	}
	c.Close()
	if _, err := dialFrom(client, 0); err != nil {
		t.Errorf("when it is not: %v", err)
	}
}

func testKeptPortOfADialThatFails(t *testing.T, w *World) {
	_, client := twoHosts(w)
	for range 2 {
		if _, err := dialFrom(client, 5000); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a dial: %v", err)
		}
	}
}

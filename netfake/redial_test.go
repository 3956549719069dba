package netfake

import (
	"net"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
)

func TestRedialHalfOpen(t *testing.T) { Run(t, testRedialHalfOpen) }

// A client that has crashed knows nothing of its connection, and dials again from its
// port. The server's side of the old connection, whatever its state, answers the SYN with
// a challenge (RFC 5961, section 4), and dies by the RST that this deserves (RFC 9293,
// 3.5.1). As Linux does, the client then sends its SYN again after two jiffies.
func testRedialHalfOpen(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, _ := server.Listen("tcp", ":80")
	nothing := func(*TCPConn) {}
	for i, row := range []struct {
		state  tcp.State
		client func(c *TCPConn) // does so before it crashes
		server func(a *TCPConn) // while it is down
	}{
		{tcp.Established, nothing, nothing},
		{tcp.CloseWait, func(c *TCPConn) { c.CloseWrite() }, nothing},
		{tcp.FinWait1, nothing, func(a *TCPConn) { a.CloseWrite() }},
		{tcp.FinWait1, nothing, func(a *TCPConn) { a.Close() }},
		{tcp.LastAck, func(c *TCPConn) { c.CloseWrite() }, func(a *TCPConn) { a.Close() }},
	} {
		port := uint16(5000 + i)
		c, a := dialAndAccept(t, client, l, port)
		row.client(c)
		time.Sleep(50 * time.Millisecond)
		client.Crash()
		row.server(a)
		time.Sleep(50 * time.Millisecond)
		client.Restart()
		wantState(t, "before the dial", a, row.state)
		start := w.Now()
		again, b := dialAndAccept(t, client, l, port)
		if got, want := w.Now()-start, 5*oneWay+8*time.Millisecond; got != want {
			t.Errorf("%v: the handshake takes %v, want %v", row.state, got, want)
		}
		wantState(t, row.state.String(), a, tcp.Closed)
		again.Write([]byte("again"))
		if n, err := b.Read(make([]byte, 9)); n != 5 || err != nil {
			t.Errorf("%v: the server reads %d bytes, %v", row.state, n, err)
		}
	}
}

// dialAndAccept opens a connection from a port of the client.
func dialAndAccept(t *testing.T, client *Host, l net.Listener, port uint16) (c, a *TCPConn) {
	t.Helper()
	dialled, err := dialFrom(client, port)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialled.(*TCPConn), accepted.(*TCPConn)
}

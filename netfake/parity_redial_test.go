package netfake

import (
	"context"
	"net"
	"strings"
	"testing"
)

// Who dials again from the port of an earlier connection meets what is left of that at
// either end. Only order decides in each of these cases. Left out are half-open connections,
// since loopback loses nothing (see redial_test.go), and the end of TIME-WAIT, which takes a
// minute. Where a SYN comes so soon that it is not a later one, it goes again after some
// milliseconds, with the same result.
func TestParityRedial(t *testing.T) {
	var cases []parityCase
	for _, r := range remains {
		cases = append(cases, parityCase{name: r.name, v4: true, do: func(s *scene) {
			l := s.listener()
			c, err := s.connect(l.Addr())
			s.must(err)
			s.Cleanup(func() { c.Close() })
			r.leave(s, c.(tcpConn), l)
			s.settle()
			s.redial(l, c)
		}})
	}
	checkParity(t, cases)
}

// redial dials from the port of an earlier connection, tells whom Accept gives until it is
// the new one, and talks over that.
func (s *scene) redial(l net.Listener, old net.Conn) {
	c, err := s.dial(context.Background(), "tcp", old.LocalAddr().String(), l.Addr().String())
	s.tell("the dial", err)
	if err != nil {
		return
	}
	defer c.Close()
	for range 2 {
		a, err := l.Accept()
		s.must(err)
		a.(tcpConn).SetLinger(0)
		defer a.Close()
		n, err := a.Write([]byte("to the client"))
		s.tell("whom Accept gives writes", n, err)
		if err == nil {
			s.read("the client reads", c, 20)
			s.write("the client writes", c, "to the server")
			s.read("the server reads", a, 20)
			return
		}
	}
}

// remain is what is left of a connection at either end when the client dials again.
type remain struct {
	name  string
	leave func(s *scene, c tcpConn, l tcpListener)
}

// accepted is a remain of a connection that was accepted.
func accepted(name string, leave func(s *scene, c, a tcpConn)) remain {
	return remain{name, func(s *scene, c tcpConn, l tcpListener) {
		a, err := l.Accept()
		s.must(err)
		s.Cleanup(func() { a.Close() })
		leave(s, c, a.(tcpConn))
	}}
}

// aborts ends a connection with RST.
func (s *scene) aborts(c tcpConn) {
	c.SetLinger(0)
	s.tell("the abort", c.Close())
	s.settle()
}

// closes ends a connection as Close does.
func (s *scene) closes(c tcpConn) {
	s.tell("Close", c.Close())
	s.settle()
}

func (s *scene) closesWriting(c tcpConn) {
	s.tell("CloseWrite", c.CloseWrite())
	s.settle()
}

// sends writes what may stay unread.
func (s *scene) sends(c tcpConn) {
	s.write("a write", c, strings.Repeat("text", 700))
	s.settle()
}

var remains = []remain{
	// The client's RST ends the server's side, whatever its state.
	accepted("reset in ESTABLISHED", func(s *scene, c, a tcpConn) { s.aborts(c) }),
	accepted("reset in CLOSE-WAIT", func(s *scene, c, a tcpConn) { s.closesWriting(c); s.aborts(c) }),
	accepted("reset in CLOSE-WAIT, unread", func(s *scene, c, a tcpConn) { s.sends(c); s.closesWriting(c); s.aborts(c) }),
	accepted("reset in FIN-WAIT-2", func(s *scene, c, a tcpConn) { s.closesWriting(a); s.aborts(c) }),
	accepted("reset in FIN-WAIT-2, closed", func(s *scene, c, a tcpConn) { s.closes(a); s.aborts(c) }),
	accepted("reset by a client that has not read", func(s *scene, c, a tcpConn) { s.sends(a); s.closes(a); s.closes(c) }),

	// The server's RST ends the client's side, and frees its port.
	accepted("reset of ESTABLISHED", func(s *scene, c, a tcpConn) { s.aborts(a) }),
	accepted("reset by a server that has not read", func(s *scene, c, a tcpConn) { s.sends(c); s.closes(a) }),
	accepted("reset of FIN-WAIT-2", func(s *scene, c, a tcpConn) { s.closesWriting(c); s.aborts(a) }),
	accepted("reset of FIN-WAIT-2, closed", func(s *scene, c, a tcpConn) { s.closes(c); s.aborts(a) }),
	accepted("a write to a server that has closed", func(s *scene, c, a tcpConn) { s.closes(a); s.sends(c) }),
	accepted("a write to a client that has closed", func(s *scene, c, a tcpConn) { s.closes(c); s.sends(a) }),
	accepted("a write to who reads and writes no more", func(s *scene, c, a tcpConn) {
		a.CloseRead()
		s.closesWriting(a)
		s.sends(c)
	}),

	// A SYN is let into a TIME-WAIT of the server.
	accepted("TIME-WAIT", func(s *scene, c, a tcpConn) { s.closes(a); s.closes(c) }),
	accepted("TIME-WAIT, not closed", func(s *scene, c, a tcpConn) { s.closesWriting(a); s.closesWriting(c) }),
	accepted("TIME-WAIT, unread", func(s *scene, c, a tcpConn) { s.sends(c); s.closesWriting(a); s.closes(c) }),
	accepted("TIME-WAIT, reset by its application", func(s *scene, c, a tcpConn) { s.closesWriting(a); s.closes(c); s.aborts(a) }),

	// One of the client keeps the port, as does FIN-WAIT-2.
	accepted("the client's TIME-WAIT", func(s *scene, c, a tcpConn) { s.closes(c); s.closes(a) }),
	accepted("the client's TIME-WAIT, not closed", func(s *scene, c, a tcpConn) { s.closesWriting(c); s.closes(a) }),
	accepted("the client's TIME-WAIT, reset by its application", func(s *scene, c, a tcpConn) {
		s.closesWriting(c)
		s.closes(a)
		s.aborts(c)
	}),
	accepted("the client's TIME-WAIT, unread", func(s *scene, c, a tcpConn) {
		s.sends(a)
		s.closesWriting(c)
		s.closes(a)
		s.closes(c)
	}),
	accepted("the client's FIN-WAIT-2", func(s *scene, c, a tcpConn) { s.closes(c) }),
	accepted("the client's CLOSE-WAIT", func(s *scene, c, a tcpConn) { s.closes(a) }),

	// What was reset waits for Accept all the same.
	{"reset before Accept", func(s *scene, c tcpConn, l tcpListener) { s.aborts(c) }},
	{"reset before Accept, unread", func(s *scene, c tcpConn, l tcpListener) { s.sends(c); s.aborts(c) }},
	{"reset before Accept, after FIN", func(s *scene, c tcpConn, l tcpListener) { s.closesWriting(c); s.aborts(c) }},
	{"closed before Accept", func(s *scene, c tcpConn, l tcpListener) { s.closes(c) }},
}

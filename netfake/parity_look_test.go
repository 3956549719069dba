package netfake

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/netspec-go/netspec/internal/tcp"
)

// glance is what can be seen of a socket without touching it.
type glance struct {
	text  string
	ready bool // a read, or Accept, does not wait
	ended bool // nothing more comes
}

var closedGlance = glance{text: "closed", ready: true, ended: true}

// glanceTCP is what both sides agree on about a connection. When an end hears the ACK of
// its FIN depends on delayed ACKs, and Linux has no socket in TIME-WAIT.
func glanceTCP(state tcp.State, buffered int, ready bool) glance {
	shown := strings.TrimRight(state.String(), "-12")
	if state == tcp.TimeWait {
		shown = tcp.Closed.String()
	}
	ended := state == tcp.CloseWait || state == tcp.LastAck || state == tcp.TimeWait || state == tcp.Closed
	return glance{fmt.Sprintf("%s recv-q %d ready=%v", shown, buffered, ready), ready, ended}
}

func glanceListener(ready bool) glance {
	return glance{text: fmt.Sprintf("LISTEN ready=%v", ready), ready: ready}
}

func glanceUDP(readable, failed bool, next int) glance {
	return glance{text: fmt.Sprintf("readable=%v next %d error=%v", readable, next, failed), ready: readable || failed}
}

// kernelLook looks at a socket of the machine; nil where that is no Linux.
var kernelLook func(c syscall.RawConn) glance

func lookAtKernel(socket any) glance {
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return closedGlance
	}
	return kernelLook(raw)
}

// lookAtWorld looks at a socket of a world.
func lookAtWorld(socket any) glance {
	w := worldOf(socket)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch c := socket.(type) {
	case *TCPConn:
		if !c.closed {
			return glanceTCP(c.machine.State(), c.machine.Buffered(), c.news.Load())
		}
	case *Listener:
		if !c.closed {
			return glanceListener(len(c.ready) > 0)
		}
	case *UDPConn:
		next := 0
		if len(c.queue) > 0 {
			next = len(c.queue[0].data)
		}
		if !c.closed {
			return glanceUDP(len(c.queue) > 0, c.err != 0, next)
		}
	}
	return closedGlance
}

// worldOf returns the world of a socket, nil for the machine's.
func worldOf(socket any) *World {
	switch c := socket.(type) {
	case *TCPConn:
		return c.host.world
	case *Listener:
		return c.host.world
	case *UDPConn:
		return c.host.world
	}
	return nil
}

func isOfWorld(socket any) bool { return worldOf(socket) != nil }

// waitingAt counts the calls that wait at a socket of a world.
func waitingAt(socket any) int {
	w := worldOf(socket)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch c := socket.(type) {
	case *TCPConn:
		return c.waiters().readers
	case *Listener:
		return c.accepting
	case *UDPConn:
		return c.readers
	}
	return 0
}

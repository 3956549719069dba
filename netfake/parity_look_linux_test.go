package netfake

import (
	"syscall"
	"unsafe"

	"github.com/netspec-go/netspec/internal/tcp"
)

func init() { kernelLook = lookWithoutTouching }

// linuxStates are the states as Linux numbers them (net/tcp_states.h). 10 is LISTEN.
var linuxStates = [...]tcp.State{
	1: tcp.Established, 2: tcp.SynSent, 3: tcp.SynReceived, 4: tcp.FinWait1, 5: tcp.FinWait2, 6: tcp.TimeWait,
	7: tcp.Closed, 8: tcp.CloseWait, 9: tcp.LastAck, 11: tcp.Closing, 12: tcp.SynReceived,
}

// Events of poll(2), of which a read takes no notice but waits for.
const (
	pollIn  = 0x1
	pollErr = 0x8
)

// lookWithoutTouching polls a socket and asks it how much there is to read and, of TCP, for
// its state: none of that takes data or an error away.
func lookWithoutTouching(c syscall.RawConn) glance {
	g := closedGlance
	c.Control(func(fd uintptr) {
		events := poll(fd)
		kind, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TYPE)
		listens, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		switch {
		case listens != 0:
			g = glanceListener(events&pollIn != 0)
		case kind == syscall.SOCK_DGRAM:
			g = glanceUDP(events&pollIn != 0, events&pollErr != 0, queued(fd))
		default:
			g = glanceTCP(tcpState(fd), queued(fd), events != 0)
		}
	})
	return g
}

// poll returns what poll(2) has to say of a read at once.
func poll(fd uintptr) int16 {
	p := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: pollIn}
	var atOnce syscall.Timespec
	syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&atOnce)), 0, 0, 0)
	return p.revents
}

// queued returns how many bytes there are to read, of UDP in the next datagram.
func queued(fd uintptr) int {
	var n int32
	syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	return int(n)
}

// tcpState returns the state, which is the first byte of what TCP_INFO gives.
func tcpState(fd uintptr) tcp.State {
	first, _ := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
	n := int32(first)
	return linuxStates[*(*uint8)(unsafe.Pointer(&n))]
}

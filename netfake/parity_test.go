package netfake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/netspec-go/netspec/internal/faketb"
)

// parityCase is something that an application does. It runs on the kernel's loopback
// and on two hosts of a world, and what it tells must be the same: the kernel is the
// oracle, so a case says what is done and not what comes of it.
type parityCase struct {
	name string
	do   func(s *scene)
	v4   bool // it is about IPv4 alone
}

// scene is what a case works with: a server and a client, and the log of what it saw.
type scene struct {
	TB
	server, client netip.Addr
	clientName     string                                                // what tell calls the client's address
	listen         func(network, address string) (net.Listener, error)   // at either address, as
	packets        func(network, address string) (net.PacketConn, error) // do these
	dial           func(ctx context.Context, network, local, address string) (net.Conn, error)

	mu    sync.Mutex
	log   []string
	ports map[string]string
}

// sides are the kernel and a world, three times: two hosts that speak IPv4, for which the
// kernel has two addresses of its loopback network; one host that speaks to itself in IPv6;
// and two hosts that speak nothing else, for which the kernel has but one address.
var sides = []struct {
	name          string
	kernel, world func(t TB) *scene
}{
	{"IPv4", func(t TB) *scene {
		return kernelScene(t, netip.MustParseAddr("127.0.0.5"), netip.MustParseAddr("127.0.0.6"))
	}, func(t TB) *scene {
		server, client := twoHosts(New(t, Config{Instant: true}))
		return hostScene(t, server, server.Addr(), client, client.Addr())
	}},
	{"IPv6", kernelScene6, func(t TB) *scene {
		host := New(t, Config{Instant: true}).Internet().Host("host", "2001:db8::1")
		return hostScene(t, host, netip.IPv6Loopback(), host, netip.IPv6Loopback())
	}},
	{"IPv6 hosts", kernelScene6, func(t TB) *scene {
		server, client := onlyIPv6(New(t, Config{Instant: true}))
		s := hostScene(t, server, server.Addr(), client, client.Addr())
		s.clientName = "server" // as the kernel's
		return s
	}},
}

func kernelScene6(t TB) *scene {
	return kernelScene(t, netip.IPv6Loopback(), netip.IPv6Loopback())
}

// kernelScene has its hosts at addresses of the machine itself.
func kernelScene(t TB, server, client netip.Addr) *scene {
	return &scene{
		TB: t, server: server, client: client, clientName: "client", ports: map[string]string{},
		listen: net.Listen, packets: net.ListenPacket,
		dial: func(ctx context.Context, network, local, address string) (net.Conn, error) {
			var d net.Dialer
			if at := netip.MustParseAddrPort(local); strings.HasPrefix(network, "udp") {
				d.LocalAddr = net.UDPAddrFromAddrPort(at)
			} else {
				d.LocalAddr = net.TCPAddrFromAddrPort(at)
			}
			return d.DialContext(ctx, network, address)
		},
	}
}

// hostScene has hosts of a world in real time.
func hostScene(t TB, server *Host, serverAddr netip.Addr, client *Host, clientAddr netip.Addr) *scene {
	at := func(address string) *Host {
		if strings.HasPrefix(strings.TrimPrefix(address, "["), clientAddr.String()) {
			return client
		}
		return server
	}
	return &scene{
		TB: t, server: serverAddr, client: clientAddr, clientName: "client", ports: map[string]string{},
		listen: func(network, address string) (net.Listener, error) { return at(address).Listen(network, address) },
		packets: func(network, address string) (net.PacketConn, error) {
			return at(address).ListenPacket(network, address)
		},
		dial: func(ctx context.Context, network, local, address string) (net.Conn, error) {
			d := Dialer{Host: client, LocalAddr: netip.MustParseAddrPort(local)}
			return d.DialContext(ctx, network, address)
		},
	}
}

// checkParity runs cases on both sides and compares what they tell.
func checkParity(t *testing.T, cases []parityCase) {
	if runtime.GOOS != "linux" {
		t.Skip("the hosts behave like Linux")
	}
	for _, s := range sides {
		for _, c := range cases {
			if s.name == "IPv4" || !c.v4 && machineHasIPv6() {
				t.Run(s.name+"/"+c.name, func(t *testing.T) { compareSides(t, c, s.kernel, s.world) })
			}
		}
	}
}

// machineHasIPv6 reports whether there is a kernel to compare with: containers often have
// IPv4 alone.
func machineHasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

func compareSides(t *testing.T, c parityCase, kernel, world func(t TB) *scene) {
	var logs [2][]string
	for i, open := range []func(TB) *scene{kernel, world} {
		t.Run([]string{"kernel", "netfake"}[i], func(t *testing.T) {
			var s *scene
			t.Cleanup(func() { logs[i] = s.log }) // after those of the case
			s = open(t)
			c.do(s)
		})
	}
	if len(logs[0]) == 0 {
		t.Error("the case tells nothing")
	}
	for i := range max(len(logs[0]), len(logs[1])) {
		if kernel, ours := line(logs[0], i), line(logs[1], i); kernel != ours {
			t.Errorf("kernel:  %s\nnetfake: %s", kernel, ours)
		}
	}
}

func line(log []string, i int) string {
	if i < len(log) {
		return log[i]
	}
	return "(nothing)"
}

// tell notes what was seen. Addresses and ports become names: those of the two sides
// differ.
func (s *scene) tell(what string, seen ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := what + ":"
	for _, v := range seen {
		switch v := v.(type) {
		case error:
			text += " " + explain(v)
		case net.Addr:
			text += fmt.Sprintf(" %T %v", v, v)
		default:
			text += fmt.Sprintf(" %v", v)
		}
	}
	text = strings.ReplaceAll(text, s.server.String(), "server")
	text = strings.ReplaceAll(text, s.client.String(), s.clientName)
	text = strings.ReplaceAll(text, "*netfake.", "*net.")
	s.log = append(s.log, portNumber.ReplaceAllStringFunc(text, s.portName))
}

// portNumber matches ports that nobody has chosen, with the side that has them.
var portNumber = regexp.MustCompile(`(server|client)?:[3-6]\d{4}\b`)

// portName gives a port a name. The kernel may give both sides one number: those are two
// ports. Behind a wildcard it is whichever side's is known by that number.
func (s *scene) portName(seen string) string {
	side, number, _ := strings.Cut(seen, ":")
	for _, known := range []string{seen, ":" + number, "server:" + number, "client:" + number} {
		if name := s.ports[known]; name != "" && (side == "" || known == seen || known == ":"+number) {
			return side + name
		}
	}
	s.ports[seen] = fmt.Sprintf(":port%d", len(s.ports)+1)
	return side + s.ports[seen]
}

// explain tells all that a caller can find out about an error: its text, the types that
// it wraps and have a name outside of their package, its number, and what it is.
func explain(err error) string {
	text := fmt.Sprintf("%q", err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		text += typeName(e)
		switch e := e.(type) {
		case *net.OpError:
			text += fmt.Sprintf("{%s %q%s%s}", e.Op, e.Net, typeName(e.Source), typeName(e.Addr))
		case syscall.Errno:
			text += fmt.Sprintf(" %d", int(e))
		}
	}
	if e, ok := err.(interface{ Timeout() bool }); ok {
		text += fmt.Sprintf(" timeout=%v", e.Timeout())
	}
	if e, ok := err.(interface{ Temporary() bool }); ok {
		text += fmt.Sprintf(" temporary=%v", e.Temporary())
	}
	for _, is := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded,
		context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, is) {
			text += fmt.Sprintf(" is=%q", is)
		}
	}
	return text
}

// typeName returns a type's name, "" for one that cannot be named outside of its package.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t == nil {
		return " nil"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if c := t.Name(); c != "" && c[0] >= 'A' && c[0] <= 'Z' {
		return " " + t.String()
	}
	return ""
}

// must ends the case if something fails that is only its preparation.
func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%v", err)
	}
}

// at returns an address of the server.
func (s *scene) at(port string) string { return net.JoinHostPort(s.server.String(), port) }

// from returns an address of the client.
func (s *scene) from(port string) string { return net.JoinHostPort(s.client.String(), port) }

// tcpListener is what *net.TCPListener and *Listener have in common.
type tcpListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// listener listens at a free port of the server.
func (s *scene) listener() tcpListener {
	s.Helper()
	l, err := s.listen("tcp", s.at("0"))
	s.must(err)
	s.Cleanup(func() { l.Close() })
	return l.(tcpListener)
}

// connect dials from the client to a listener.
func (s *scene) connect(to net.Addr) (net.Conn, error) {
	return s.dial(context.Background(), to.Network(), s.from("0"), to.String())
}

// tcpConn is what *net.TCPConn and *TCPConn have in common.
type tcpConn interface {
	net.Conn
	io.ReaderFrom
	io.WriterTo
	CloseWrite() error
	CloseRead() error
	SetLinger(sec int) error
	SetNoDelay(noDelay bool) error
	SetKeepAlive(keepalive bool) error
	SetKeepAlivePeriod(d time.Duration) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

// pair returns both ends of a connection.
func (s *scene) pair() (client, server tcpConn) {
	s.Helper()
	l := s.listener()
	defer l.Close()
	return s.join(l)
}

func (s *scene) join(l net.Listener) (client, server tcpConn) {
	s.Helper()
	c, err := s.connect(l.Addr())
	s.must(err)
	a, err := l.Accept()
	s.must(err)
	s.Cleanup(func() { c.Close(); a.Close() })
	return c.(tcpConn), a.(tcpConn)
}

// settle gives the kernel's loopback the time that a segment needs: it is in order
// behind a byte on a connection of its own.
func (s *scene) settle() {
	s.Helper()
	c, a := s.pair()
	c.Write([]byte("x"))
	a.Read(make([]byte, 1))
}

// readable waits until a connection has something to read, without reading it.
func (s *scene) readable(c net.Conn) {
	k, ok := c.(syscall.Conn)
	if !ok {
		return // the packets of an instant world arrive before the write returns
	}
	raw, err := k.SyscallConn()
	s.must(err)
	raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return n > 0 || err != syscall.EAGAIN
	})
}

// started runs f and returns once it is likely to wait: on the kernel's side nothing
// tells. Either order gives the same result.
func started(f func() error) <-chan error {
	got := make(chan error, 1)
	running := make(chan bool)
	go func() {
		close(running)
		got <- f()
	}()
	<-running
	runtime.Gosched()
	return got
}

var past = time.Unix(1, 0)

// soon is a deadline that passes while something waits.
func soon() time.Time { return time.Now().Add(5 * time.Millisecond) }

// later is a deadline that does not.
func later() time.Time { return time.Now().Add(time.Hour) }

// golang.org/x/net's own conformance suite of connections.
func TestNettest(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		tb := faketb.New(t)
		w := New(tb, Config{Instant: true})
		server, client := twoHosts(w)
		l, err := server.Listen("tcp", ":80")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = client.DialContext(context.Background(), "tcp", "203.0.113.10:80"); err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, tb.Clean, err
	})
}

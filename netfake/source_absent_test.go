package netfake

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// renumbered is a host with sockets at an address that it then loses to another.
type renumbered struct {
	w              *World
	server, client *Host
	nic            *NIC // that was removed
	connected      net.Conn
	tcp, accepted  net.Conn
	got            net.PacketConn // what comes to the server's udp/9
}

func newRenumbered(t *testing.T, w *World, hosts func(*World) (server, client *Host), other string) *renumbered {
	t.Helper()
	r := &renumbered{w: w}
	r.server, r.client = hosts(w)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.got, err = r.server.ListenPacket("udp", ":9")
	check(err)
	l, err := r.server.Listen("tcp", ":80")
	check(err)
	r.connected, err = r.client.Dial("udp", r.server.UDP(9).Addr.String())
	check(err)
	r.tcp, err = r.client.Dial("tcp", r.server.TCP(80).Addr.String())
	check(err)
	r.accepted, err = l.Accept()
	check(err)
	r.nic = r.client.nics[0]
	w.Do(func(time.Duration) {
		r.nic.Remove()
		r.client.Plug(netip.MustParseAddr(other), 1500, r.nic.out)
	})
	return r
}

// comes reports whether what was sent comes to the server within ten seconds.
func comes(t *testing.T, read func([]byte) error, until func(time.Time) error) bool {
	t.Helper()
	until(time.Now().Add(10 * time.Second))
	err := read(make([]byte, 9))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read: %v", err)
	}
	return err == nil
}

func (r *renumbered) datagramComes(t *testing.T) bool {
	t.Helper()
	return comes(t, func(b []byte) error { _, _, err := r.got.ReadFrom(b); return err }, r.got.SetReadDeadline)
}

func (r *renumbered) segmentComes(t *testing.T) bool {
	t.Helper()
	return comes(t, func(b []byte) error { _, err := r.accepted.Read(b); return err }, r.accepted.SetReadDeadline)
}

// Nothing leaves from an IPv4 address that the host has no longer, and everything from one of
// IPv6: what Linux 6.18 does with a second address on the same interface.
func TestAddressGone(t *testing.T) {
	for _, row := range []struct {
		name   string
		hosts  func(*World) (server, client *Host)
		other  string
		err    error
		leaves bool
	}{
		{"IPv4", twoHosts, "198.51.100.21", syscall.ENETUNREACH, false},
		{"IPv6", onlyIPv6, "2001:db8:99::1", nil, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				r := newRenumbered(t, w, row.hosts, row.other)
				_, err := r.connected.Write([]byte("x"))
				want(t, "a datagram from the old address", err, row.err)
				if got := r.datagramComes(t); got != row.leaves {
					t.Errorf("the datagram comes: %t", got)
				}
				_, err = r.tcp.Write([]byte("x"))
				want(t, "a write to the connection", err, nil)
				if got := r.segmentComes(t); got != row.leaves {
					t.Errorf("the segment comes: %t", got)
				}
				d := Dialer{Host: r.client, LocalAddr: netip.AddrPortFrom(r.nic.addr, 0)}
				_, err = d.Dial("udp", r.server.UDP(9).Addr.String())
				want(t, "a bind to the old address", err, syscall.EADDRNOTAVAIL)

				next, err := r.client.Dial("udp", r.server.UDP(9).Addr.String())
				want(t, "a dial from the new address", err, nil)
				next.Write([]byte("x"))
				if !r.datagramComes(t) {
					t.Error("a datagram from the new address does not come")
				}
			})
		})
	}
}

// Once the host has the address again its sockets go on.
func TestAddressComesBack(t *testing.T) { Run(t, testAddressComesBack) }

func testAddressComesBack(t *testing.T, w *World) {
	r := newRenumbered(t, w, twoHosts, "198.51.100.21")
	r.tcp.Write([]byte("x"))
	w.Sleep(time.Second)
	w.Do(func(time.Duration) { r.client.Plug(r.nic.addr, 1500, r.nic.out) })
	if _, err := r.connected.Write([]byte("x")); err != nil || !r.datagramComes(t) {
		t.Errorf("a datagram does not come: %v", err)
	}
	if !r.segmentComes(t) {
		t.Error("what was written does not come")
	}
}

// A connection whose address has gone ends just as one whose peer is silent, and the host
// says why.
func TestAddressGoneTimesOut(t *testing.T) {
	var took [2]time.Duration
	for i, silence := range []func(*renumbered){
		func(*renumbered) {},
		func(r *renumbered) {
			r.w.Do(func(time.Duration) { r.client.Plug(r.nic.addr, 1500, r.nic.out) })
			r.client.Uplink().Link().Partition()
		},
	} {
		Run(t, func(t *testing.T, w *World) {
			r := newRenumbered(t, w, twoHosts, "198.51.100.21")
			silence(r)
			began := w.Now()
			r.tcp.Write([]byte("x"))
			_, err := r.tcp.Read(make([]byte, 1))
			want(t, "a read", err, syscall.ETIMEDOUT)
			took[i] = w.Now() - began
			const why = "198.51.100.20 is no longer an address of this host"
			if got := w.Report(); strings.Contains(got, why) != (i == 0) {
				t.Errorf("the report says\n%s", got)
			}
		})
	}
	if took[0] != took[1] {
		t.Errorf("without the address it took %v, with a partition %v", took[0], took[1])
	}
}

// From IPv4's loopback nothing leaves the host, as on Linux; to its own addresses it does.
func TestFromLoopback(t *testing.T) { Run(t, testFromLoopback) }

func testFromLoopback(t *testing.T, w *World) {
	server, client := twoHosts(w)
	d := Dialer{Host: client, LocalAddr: netip.AddrPortFrom(loopback, 0)}
	for _, network := range []string{"tcp", "udp"} {
		_, err := d.Dial(network, "203.0.113.10:80")
		want(t, network+" to another host", err, syscall.EINVAL)
	}
	u, err := client.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(server.UDP(9).Addr))
	want(t, "a datagram to another host", err, syscall.EINVAL)
	_, err = u.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(client.UDP(9).Addr))
	want(t, "a datagram to the host itself", err, nil)
}

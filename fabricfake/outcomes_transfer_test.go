package fabricfake_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What becomes of a transfer in both directions when something changes in its middle, with
// segments under way to and from the server: as its client sees it, and as its server does.
// Another transfer between the same instances, through the server's primary interface, goes
// on; and nobody is suspected of a forgery.
func TestOutcomesOfTransfers(t *testing.T) {
	const (
		all = "client all, server all"

		// The segment that was lost is sent again after 202.1 ms, 200 and the round trip of
		// 2.1 that both measure, as each acknowledges with what it sends next; and so on as
		// in TestOutcomes.
		gaveUp = "ETIMEDOUT after 15m26.746342839s"

		// Who still gets what was under way to him waits from then on.
		gaveUpLater = "ETIMEDOUT after 15m26.748342839s"

		// The server's segments do not leave any more, as it has lost the address that they
		// are from. The client is reset by the next that it sends after 2 ms, or when its
		// host has been told, by a retransmission.
		reset     = "client ECONNRESET after 2.15ms, server " + gaveUp
		resetLate = "client ECONNRESET after 3.031749895s, server " + gaveUp
		silence   = "client " + gaveUp + ", server " + gaveUp
		oneWay    = "client " + gaveUpLater + ", server " + gaveUp
	)
	for _, row := range []struct {
		name    string
		addr    string
		prepare func(m *mover)
		change  func(m *mover)
		want    [2]string // tracked, untracked
	}{
		{"nothing", floats, nil, func(*mover) {}, [2]string{all, all}},
		{"the interface moves on the host", floats, nil, func(m *mover) { m.move(m.near) }, [2]string{reset, reset}},
		{"the interface moves to another host", floats, nil, func(m *mover) { m.move(m.far) }, [2]string{reset, reset}},
		{"to another host, told late", floats, toldLate, func(m *mover) { m.move(m.far) }, [2]string{resetLate, resetLate}},
		{"the interface is detached", floats, nil, func(m *mover) { m.f.Detach() }, [2]string{silence, silence}},
		{"the address moves", leaves, nil, func(m *mover) { m.far.Interface().MovePrivateIP(leaves) }, [2]string{silence, reset}},
		{"the address moves, told late", leaves, toldLate, func(m *mover) { m.far.Interface().MovePrivateIP(leaves) }, [2]string{oneWay, resetLate}},
		{"other groups", floats, nil, func(m *mover) { m.f.SetGroups(fabricfake.Groups{m.vpc.DefaultSecurityGroup()}) }, [2]string{all, oneWay}},
		{"an ACL for the way there", floats, nil, func(m *mover) { m.vpc.DefaultNetworkACL().DenyIngress(50, "tcp/23", "0.0.0.0/0") }, [2]string{oneWay, oneWay}},
		{"an ACL that does not concern it", floats, nil, func(m *mover) { m.vpc.DefaultNetworkACL().DenyIngress(50, "tcp/25", "0.0.0.0/0") }, [2]string{all, all}},
	} {
		for i, tracked := range []string{"tracked", "untracked"} {
			t.Run(row.name+", "+tracked, func(t *testing.T) {
				netfake.Run(t, func(t *testing.T, w *netfake.World) {
					m := newMover(t, w)
					m.allow(i == 0, "tcp/23-24")
					if row.prepare != nil {
						row.prepare(m)
					}
					got, sibling := m.transfers(t, row.addr, func() { row.change(m) })
					if got != row.want[i] {
						t.Errorf("%s, want %s", got, row.want[i])
					}
					if sibling != all || len(w.Alarms()) != 0 {
						t.Errorf("the sibling: %s, alarms %v", sibling, w.Alarms())
					}
				})
			})
		}
	}
}

// transfers has both ends of two connections, with an address and with the server's primary
// one, send 4 KB every 2 ms for a second, changes something in the middle while these are
// under way, and tells what became of the two: how the clients' and the servers' reading
// ended, and when after the change.
func (m *mover) transfers(t *testing.T, addr string, change func()) (one, sibling string) {
	t.Helper()
	var ends [4]chan string
	for i, to := range []string{addr + ":23", "172.31.32.21:24"} {
		l, err := m.two.Listen("tcp", to[len(to)-3:])
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.one.Dialer().Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for j, c := range []net.Conn{c, s} {
			end := make(chan string, 1)
			ends[2*i+j] = end
			go m.send(c)
			go func() { end <- m.receive(c) }()
		}
	}
	m.w.Sleep(half - m.w.Now())
	change()
	return fmt.Sprintf("client %s, server %s", <-ends[0], <-ends[1]), fmt.Sprintf("client %s, server %s", <-ends[2], <-ends[3])
}

// half is when the change happens: half of a way after both ends have sent, for the 250th of
// 500 times.
const half = 500*time.Millisecond + fabricfake.LatencyZone/2

// send sends to the end, or until nobody wants it.
func (m *mover) send(c net.Conn) {
	var err error
	for m.w.Sleep(2*time.Millisecond - m.w.Now()%(2*time.Millisecond)); err == nil && m.w.Now() < time.Second; m.w.Sleep(2 * time.Millisecond) {
		_, err = c.Write(make([]byte, 4<<10))
	}
	c.(*netfake.TCPConn).CloseWrite()
}

// receive reads to the end and tells how that went.
func (m *mover) receive(c net.Conn) string {
	n, err := io.Copy(io.Discard, c)
	switch {
	case err != nil:
		return fmt.Sprintf("%s after %v", errorName(err), m.w.Now()-half)
	case n < 499*4<<10:
		return fmt.Sprintf("EOF after %v", m.w.Now()-half)
	}
	return "all"
}

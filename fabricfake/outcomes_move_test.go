package fabricfake_test

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// The addresses of an interface that goes from one instance to another, its primary one and
// the one of which it is relieved.
const floats, leaves = "172.31.32.100", "172.31.32.101"

// mover is a pair, whose server has a second interface, and two more instances to which that
// may go: on the same physical host, and on another.
type mover struct {
	*pair
	near, far *fabricfake.Instance
	f         *fabricfake.Interface
}

func newMover(t *testing.T, w *netfake.World) *mover {
	m := &mover{pair: newPair(t, w)}
	of := fabricfake.Groups{m.group}
	m.mid = m.vpc.Subnet("c", "172.31.48.0/24", "a").Instance("mid", fabricfake.InstanceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff})
	fabricfake.Forward(m.mid)
	m.near = m.b.Instance("near", fabricfake.InstanceConfig{Groups: append(of, m.vpc.DefaultSecurityGroup()), On: host(m.two)})
	m.far = m.b.Instance("far", fabricfake.InstanceConfig{Groups: of})
	m.f = m.b.Interface("floating", fabricfake.InterfaceConfig{PrivateIP: floats, SecondaryIPs: []string{leaves}, Groups: of})
	m.f.Attach(m.two)
	return m
}

func (m *mover) move(to *fabricfake.Instance) {
	m.f.Detach()
	m.f.Attach(to)
}

// allow lets the clients in to more ports than 22, by a rule of which connections are tracked
// or are not.
func (m *mover) allow(tracked bool, ports string) {
	var from fabricfake.Peer = fabricfake.Anywhere
	if tracked {
		from = fabricfake.CIDR("172.31.0.0/16")
		m.group.RevokeIngress("tcp/22", fabricfake.Anywhere).AllowIngress("tcp/22", from)
	}
	m.group.AllowIngress(ports, from)
}

// What becomes of a connection when the interface or the address that it goes through moves
// in its middle, and when it changes in other ways: with the times of TestOutcomes. Another
// one between the same two instances, through the server's primary interface, goes on, or
// where all that the client sends goes astray one from beside the server; and nobody is
// suspected of a forgery.
func TestOutcomesOfMoves(t *testing.T) {
	const (
		all    = "survives"
		gaveUp = "ETIMEDOUT after 15m25.3046s"
		late   = "survives 6.2064s late"

		// At the next segment: the new owner of the address knows nothing of it.
		reset = "ECONNRESET after 500.2ms"

		// Of the times at which the segment is sent the first beyond the 2 s that it takes
		// until the client's host has been told, 0.5 s after the change: 3.003 s.
		resetLate = "ECONNRESET after 3.5032s"

		// Through a middlebox the way there takes 100 µs more.
		heardOver = "ECONNRESET after 2m29.5003s"
		lateOver  = "survives 6.2096s late"
	)
	address := func(m *mover) { m.far.Interface().MovePrivateIP(leaves) }
	other := func(m *mover) { m.f.SetGroups(fabricfake.Groups{m.vpc.DefaultSecurityGroup()}) }
	through := func(m *mover) { m.a.Route("172.31.32.0/24", m.mid.Interface()) }
	check := func(c fabricfake.SourceDestCheck) func(m *mover) {
		return func(m *mover) { m.mid.Interface().SetSourceDestCheck(c) }
	}
	for _, row := range []struct {
		name    string
		addr    string
		prepare func(m *mover)
		change  func(m *mover)
		later   func(m *mover) // 5 s after the change
		want    [2]string      // tracked, untracked
	}{
		// The interface keeps its groups with what they track, so that the segment comes
		// to the new instance, which resets what it does not know.
		{"the interface moves on the host", floats, nil, func(m *mover) { m.move(m.near) }, nil, [2]string{reset, reset}},
		{"on the host, told late", floats, toldLate, func(m *mover) { m.move(m.near) }, nil, [2]string{reset, reset}},
		{"the interface moves to another host", floats, nil, func(m *mover) { m.move(m.far) }, nil, [2]string{reset, reset}},
		{"to another host, told late", floats, toldLate, func(m *mover) { m.move(m.far) }, nil, [2]string{resetLate, resetLate}},
		{"the interface is detached", floats, nil, func(m *mover) { m.f.Detach() }, nil, [2]string{gaveUp, gaveUp}},
		{"and comes back", floats, nil, func(m *mover) { m.f.Detach() }, func(m *mover) { m.f.Attach(m.two) }, [2]string{late, late}},

		// An address comes to another interface, which tracks nothing of it: only groups that
		// leave it untracked let the segment in.
		{"the address moves", leaves, nil, address, nil, [2]string{gaveUp, reset}},
		{"the address moves, told late", leaves, toldLate, address, nil, [2]string{gaveUp, resetLate}},
		{"the address comes back", leaves, nil, address, func(m *mover) { m.f.MovePrivateIP(leaves) }, [2]string{late, reset}},
		{"the address is taken away", leaves, nil, func(m *mover) { m.f.Unassign(m.f.Addresses()[1]) }, nil, [2]string{gaveUp, gaveUp}},

		// fact: ct.revoke.replaced
		{"other groups", floats, nil, other, nil, [2]string{all, gaveUp}},
		{"and the old ones again", floats, nil, other, func(m *mover) { m.f.SetGroups(fabricfake.Groups{m.group}) }, [2]string{all, late}},

		// A middlebox on the way there takes no more what is for others.
		{"a middlebox", floats, through, func(*mover) {}, nil, [2]string{all, all}},
		{"a middlebox checks", floats, through, check(fabricfake.SourceDestCheckOn), nil, [2]string{heardOver, heardOver}},
		{"and no longer does", floats, through, check(fabricfake.SourceDestCheckOn), check(fabricfake.SourceDestCheckOff), [2]string{lateOver, lateOver}},
	} {
		for i, tracked := range []string{"tracked", "untracked"} {
			t.Run(row.name+", "+tracked, func(t *testing.T) {
				netfake.Run(t, func(t *testing.T, w *netfake.World) {
					m := newMover(t, w)
					m.allow(i == 0, "udp/22")
					by := m.one
					if row.prepare != nil {
						row.prepare(m)
						by = m.near
					}
					sibling := make(chan string)
					go func() { sibling <- chat(by, "172.31.32.21", nil, nil) }()
					later := func() {
						if row.later != nil {
							row.later(m)
						}
					}
					if got := chat(m.one, row.addr, func() { row.change(m) }, later); got != row.want[i] {
						t.Errorf("%s, want %s", got, row.want[i])
					}
					if other := <-sibling; other != all || len(w.Alarms()) != 0 {
						t.Errorf("the sibling: %s, alarms %v", other, w.Alarms())
					}
				})
			})
		}
	}
}

// toldLate has hosts told of a change after two seconds.
func toldLate(m *mover) { m.vpc.Region().Mapping().SetDelay(2 * time.Second) }

package fabricfake

import "github.com/netspec-go/netspec/netfake"

// An instance is a target of routes, as a NAT instance is, and may do more with packets than
// to take them in.

// Attached reports whether a route to the instance carries packets, which is one to its primary
// interface: until it is terminated, also while it is stopped, when they are lost. Another
// instance that has the interface afterwards has the route.
func (i *Instance) Attached() bool { return i != nil && i.iface.Attached() }

// NextHop leads to the instance's primary interface, whose source and destination check must
// be off for it to take what is for others. A route to an instance with several interfaces
// cannot be made (InvalidInstanceID); one that was made before leads to the primary one still.
func (i *Instance) NextHop() NextHop { return NextHop{Interface: i.iface} }

// Forward has whatever comes to the instance's interfaces come to a node first, as to the
// kernel of a machine that routes, translates addresses or has containers behind a bridge. The
// node gives to the programs of the instance what is for them, by p.To(i.Host), and sends
// out of an interface by p.To(f.Out()); a router counts the TTL down. What the programs
// send goes past it. While the instance is down or paused the node gets nothing. A nil node
// takes it away again. An instance that is terminated fails the test with
// IncorrectInstanceState.
func (i *Instance) Forward(n netfake.Node) {
	i.tb().Helper()
	if isNil(n) {
		n = nil
	}
	i.adjust(func() {
		i.kernel = n
		for _, f := range i.ifaces {
			if f.guest != nil {
				f.guest = i.behind()
			}
		}
	})
}

// behind returns the node behind the instance's interfaces.
func (i *Instance) behind() netfake.Node {
	if i.kernel == nil {
		return i.Host
	}
	return &kernel{i}
}

// kernel takes what comes to an instance to the node that is to see it first.
type kernel struct{ *Instance }

// TakesTrains implements netfake.TrainNode.
func (k *kernel) TakesTrains() bool { return true }

// Step gives the packet to the node, or to the host that says why it takes nothing.
func (k *kernel) Step(p *netfake.Packet) netfake.Next {
	if k.kernel == nil || !k.Awake() {
		return p.To(k.Host)
	}
	return p.To(k.kernel)
}

package netfake

import (
	"fmt"
	"net/netip"
	"time"
)

// LastMile is how long a packet takes between a host or an edge and the internet's
// backbone. It is a number of the model: a metropolitan fibre's millisecond.
const LastMile = time.Millisecond

// InternetMTU is the largest packet that the internet carries.
const InternetMTU = 1500

// Internet is the world's public network. It carries a packet to whoever announces
// the destination, with the latency of the way: the last mile at both ends, and light
// in fibre along the great circle between the places.
type Internet struct {
	world *World
	at    map[netip.Addr]*Uplink
	in    []announcement // blocks, the smallest first
	paths map[[2]Place]*Link

	routers map[Place]routers
	uplinks int
}

func newInternet(w *World) *Internet {
	return &Internet{world: w, at: map[netip.Addr]*Uplink{}, paths: map[[2]Place]*Link{}, routers: map[Place]routers{}}
}

// String returns "internet".
func (n *Internet) String() string { return "internet" }

// Host puts a host with public addresses on the internet, nowhere in particular: one
// address or several, of either family, of which the first is the host's Addr. A name or
// an address that is taken or malformed fails the test.
func (n *Internet) Host(name string, addrs ...string) *Host {
	n.world.tb.Helper()
	return n.HostAt(Place{}, name, addrs...)
}

// HostAt is Host at a place.
func (n *Internet) HostAt(place Place, name string, addrs ...string) *Host {
	n.world.tb.Helper()
	ips := n.parse(name, addrs)
	h := n.world.NewHost(name, place)
	u := n.Attach(name, place, h)
	h.uplink = u
	for _, ip := range ips {
		h.AddNIC(ip, InternetMTU, u)
		u.Announce(ip)
	}
	return h
}

// parse reads the addresses of a host.
func (n *Internet) parse(name string, addrs []string) []netip.Addr {
	n.world.tb.Helper()
	if len(addrs) == 0 {
		n.world.tb.Fatalf("netfake: internet host %s has no address", name)
	}
	ips := make([]netip.Addr, len(addrs))
	for i, addr := range addrs {
		ip, err := netip.ParseAddr(addr)
		switch {
		case err != nil:
			n.world.tb.Fatalf("netfake: internet host %s: %q is no IP address", name, addr)
		case !isPlain(ip):
			n.world.tb.Fatalf("netfake: internet host %s: %q: an address is written without a zone, and an IPv4 one as such", name, addr)
		case isPrivate(ip):
			n.world.tb.Fatalf("netfake: internet host %s: %v is not a public address", name, ip)
		}
		ips[i] = ip
	}
	return ips
}

// Attach connects a node to the internet at a place and returns the connection, into
// which the node sends. Packets come to the node once the uplink announces addresses.
// Several may have one name, as the gateways of two regions do: each loses packets of its own.
func (n *Internet) Attach(name string, place Place, node Node) *Uplink {
	w := n.world
	w.tb.Helper()
	if node == nil {
		w.tb.Fatalf("netfake: Attach of no node, %s", name)
	}
	u := &Uplink{net: n, name: name, place: place, node: node, tap: w.Tap(name + " internet"), ways: map[*Uplink]*Way{}}
	mile := name + " last mile"
	w.Do(func(time.Duration) {
		u.access = w.newLink(mile, mile+" up", mile+" down", LastMile)
		u.number = n.uplinks
		n.uplinks++
		u.routers = n.routersAt(place)
	})
	u.core, u.down, u.arrive = uplinkCore{u}, uplinkDown{u}, uplinkArrive{u}
	return u
}

// Between returns the long-distance link between two places, to be slowed down, made
// lossy or cut. For one of its directions see Way.
func (n *Internet) Between(a, b Place) *Link {
	n.world.lock()
	defer n.world.unlock()
	return n.between(a, b)
}

func (n *Internet) between(a, b Place) *Link {
	if b.before(a) {
		a, b = b, a
	}
	key := [2]Place{a, b}
	l := n.paths[key]
	if l == nil {
		name := fmt.Sprintf("internet %v–%v", a, b)
		l = n.world.newLink(name, fmt.Sprintf("internet %v → %v", a, b), fmt.Sprintf("internet %v → %v", b, a), a.Delay(b))
		n.paths[key] = l
	}
	return l
}

// Way returns the direction from one place to another of the link between them. Inside
// one place it is the direction towards the uplink that was attached later.
func (n *Internet) Way(from, to Place) *Way {
	n.world.lock()
	defer n.world.unlock()
	return n.way(from, to)
}

func (n *Internet) way(from, to Place) *Way {
	l := n.between(from, to)
	if to.before(from) {
		return &l.back
	}
	return &l.forth
}

// isPrivate reports whether the internet refuses to carry an address: RFC 1918, RFC
// 6598, loopback, link-local, multicast; of IPv6 also unique local addresses, RFC 4193,
// and what is no address of its own.
func isPrivate(ip netip.Addr) bool {
	return !isPlain(ip) || !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedSpace.Contains(ip)
}

// sharedSpace is RFC 6598, carrier-grade NAT.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// Uplink is a node's connection to the internet. It is itself a node: what is sent to
// it goes out.
type Uplink struct {
	net    *Internet
	name   string
	place  Place
	node   Node
	access *Link
	tap    *Tap
	ways   map[*Uplink]*Way
	number int // in which order uplinks were attached

	routers routers // at its place
	recent  recent

	core   uplinkCore
	down   uplinkDown
	arrive uplinkArrive
}

// String returns the uplink's name.
func (u *Uplink) String() string { return u.name }

// Place returns where the uplink reaches the internet.
func (u *Uplink) Place() Place { return u.place }

// Link returns the last mile, to be slowed down, made lossy or cut.
func (u *Uplink) Link() *Link {
	if u == nil {
		panic("netfake: Link of a nil *Uplink: only hosts on the internet have one; see Host.Partition, World.Between and, of an instance, PhysicalHost.Wire")
	}
	return u.access
}

// Announce makes the internet bring packets for addr to the uplink. An address that
// another uplink announces fails the test.
func (u *Uplink) Announce(addr netip.Addr) {
	w := u.net.world
	w.tb.Helper()
	if isPrivate(addr) {
		w.tb.Fatalf("netfake: %s announces %v, which is not a public address", u.name, addr)
	}
	var other *Uplink
	w.Do(func(time.Duration) {
		if other = u.net.at[addr]; other == nil {
			u.net.at[addr] = u
		}
	})
	if other != nil {
		w.tb.Fatalf("netfake: %s announces %v, which is %s's already", u.name, addr, other.name)
	}
}

// Withdraw takes an announcement back.
func (u *Uplink) Withdraw(addr netip.Addr) {
	u.net.world.Do(func(time.Duration) {
		if u.net.at[addr] == u {
			delete(u.net.at, addr)
		}
	})
}

// Step takes a packet from the node to the internet.
func (u *Uplink) Step(p *Packet) Next {
	u.tap.record(p)
	return p.Along(&u.access.forth, u.core)
}

// uplinkCore is where a packet has come up to the backbone: here the internet decides
// where to carry it.
type uplinkCore struct{ *Uplink }

func (c uplinkCore) Step(p *Packet) Next {
	if end, ok := countDown(p, c); !ok {
		return end
	}
	return c.route(p)
}

// route carries a packet from the backbone at the uplink's place to whoever announces
// its destination.
func (u *Uplink) route(p *Packet) Next {
	dst := p.Flow.Dst.Addr()
	if r := &u.recent; r.dst == dst && r.changes == p.world.changes && !p.Traced() {
		return p.Along(r.way, r.next)
	}
	return u.lookUp(p, dst)
}

// lookUp is route for a destination that was not the latest, which it becomes.
func (u *Uplink) lookUp(p *Packet, dst netip.Addr) Next {
	hop := Hop{Place: "internet", By: u.net}
	if isPrivate(dst) {
		hop.Rule = fmt.Sprintf("%v is a private address, which the internet does not carry", dst)
		hop.Code = "NO_ROUTE_TO_DESTINATION"
		return p.Drop(hop)
	}
	to := u.net.find(dst)
	if to == nil {
		hop.Rule = fmt.Sprintf("nobody announces %v", dst)
		hop.Code = "NO_ROUTE_TO_DESTINATION"
		return p.Drop(hop)
	}
	if p.Traced() {
		hop.Rule = fmt.Sprintf("%v → %v", u.place, to.place)
		p.Passed(hop)
	}
	u.recent = recent{dst: dst, changes: p.world.changes, way: u.way(to), next: to.down}
	if u.place == to.place {
		u.recent.next = uplinkLast{to}
	}
	return p.Along(u.recent.way, u.recent.next)
}

// recent is where the latest destination's packets go from an uplink, as long as nothing
// has changed.
type recent struct {
	dst     netip.Addr
	changes uint64 // World.Changes at the time
	way     *Way
	next    Node
}

// way returns the long-distance link to another uplink, and remembers it: places are
// large keys.
func (u *Uplink) way(to *Uplink) *Way {
	y := u.ways[to]
	if y == nil {
		y = u.net.way(u.place, to.place)
		if u.place == to.place && to.number < u.number {
			y = &y.link.back
		}
		u.ways[to] = y
	}
	return y
}

// uplinkDown is the other end of the backbone.
type uplinkDown struct{ *Uplink }

func (d uplinkDown) Step(p *Packet) Next {
	if end, ok := countDown(p, d); !ok {
		return end
	}
	return p.Along(&d.access.back, d.arrive)
}

// uplinkArrive is where the last mile ends.
type uplinkArrive struct{ *Uplink }

func (a uplinkArrive) Step(p *Packet) Next {
	a.tap.record(p)
	return p.To(a.node)
}

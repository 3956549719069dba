package netfake

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Host is a machine with sockets. DialContext, Listen and ListenPacket return a net.Conn, a
// net.Listener and a net.PacketConn, types of this package whose bytes travel as packets.
// A Host is safe for concurrent use.
type Host struct {
	key uint64 // a number made of the name, which tells hosts of equal addresses apart

	world  *World
	name   string
	place  Place
	nics   []*NIC
	addr   atomic.Pointer[netip.Addr] // of the first
	uplink *Uplink                    // of a host on the internet

	conns     map[uint64]*TCPConn // by the hash of the flow that arrives, chained
	kept      []*TCPConn          // that are over, see keepPort
	listeners map[netip.AddrPort]*Listener
	udp       map[netip.AddrPort]*UDPConn
	echoes    map[echoID]*echoWait
	ephemeral portRange
	ports     map[uint64]uint16 // where the search for a free port goes on
	resolvers []netip.Addr
	search    SearchList
	lookup    LookupFunc // nil: the stub resolver
	dialer    Dialer     // the one with nothing set
	lastPeer  netip.Addr
	crashes   []*Fault // in force
	onRestart func()   // nil: nothing
	pauses    []*Fault
	power     power
	ring      waiting   // what has come to the paused host
	outbox    waiting   // what it would have sent
	changed   sync.Cond // for those who wait for an echo

	traceroutes map[Flow]*tracerouteProbe // under way, by the flow of the probe
	complaints  map[netip.Addr]*bucket    // what may still be said to a peer
	paths       pathMTUs
	assembly    [2]*assembly // of IPv4 and IPv6, nil as long as no fragment has come
	fragments   FragmentStats
}

// NIC is one of a host's network interfaces: an address, and where it sends.
type NIC struct {
	host *Host
	addr netip.Addr
	mtu  int
	out  Node
	dest []netip.Prefix // destinations that it serves first; none: the rest
}

// NewHost makes a host with no interface. Rooms give it one that is plugged into
// their network; a test gets its hosts from Internet.Host, a subnet or a room's own
// builder. A name that is taken fails the test.
func (w *World) NewHost(name string, place Place) *Host {
	w.tb.Helper()
	if name == "" {
		w.tb.Fatalf("netfake: a host needs a name")
	}
	h := &Host{
		world: w, name: name, key: hashString(name), place: place, ephemeral: portRange{firstEphemeral, lastEphemeral},
		conns: map[uint64]*TCPConn{}, listeners: map[netip.AddrPort]*Listener{},
		udp: map[netip.AddrPort]*UDPConn{}, echoes: map[echoID]*echoWait{}, ports: map[uint64]uint16{},
	}
	h.changed.L, h.dialer.Host = &w.mu, h
	taken := false
	w.Do(func(time.Duration) {
		if taken = w.hostNames[name] != nil; !taken {
			w.hostNames[name] = h
			w.hosts = append(w.hosts, h)
		}
	})
	if taken {
		w.tb.Fatalf("netfake: there is a host %s already, and a world has each name once", name)
	}
	return h
}

// AddNIC gives the host an interface with an address. Packets that it sends go to
// out; those for the destinations named go through it, and all others of the address's
// family through the host's first interface of that family that names none. A host of
// both families has an interface for each; two with one out are one interface with two
// addresses. An address that cannot stand in a packet, an MTU below IPv4's 68 bytes or, with
// an IPv6 address, IPv6's 1280, and no node to send to fail the test.
func (h *Host) AddNIC(addr netip.Addr, mtu int, out Node, dest ...netip.Prefix) *NIC {
	tb := h.world.tb
	tb.Helper()
	switch {
	case !isPlain(addr):
		tb.Fatalf("netfake: host %s: an interface cannot have the address %v", h.name, addr)
	case !addr.Is4() && mtu < minPathMTU6:
		tb.Fatalf("netfake: host %s: IPv6 needs an MTU of %d, RFC 8200, not %d", h.name, minPathMTU6, mtu)
	case mtu < minIPv4MTU:
		tb.Fatalf("netfake: host %s: IPv4 needs an MTU of %d, RFC 791, not %d", h.name, minIPv4MTU, mtu)
	case out == nil:
		tb.Fatalf("netfake: host %s: the interface %v leads to no node", h.name, addr)
	}
	var nic *NIC
	h.world.Do(func(time.Duration) { nic = h.Plug(addr, mtu, out, dest...) })
	return nic
}

// Plug is AddNIC inside the scheduler, the only place where it may be called: the caller
// sees to it that the address can stand in a packet.
func (h *Host) Plug(addr netip.Addr, mtu int, out Node, dest ...netip.Prefix) *NIC {
	nic := &NIC{host: h, addr: addr, mtu: mtu, out: out, dest: dest}
	h.nics = append(h.nics, nic)
	h.addr.CompareAndSwap(nil, &nic.addr)
	return nic
}

// Remove takes the interface off its host. Sockets that are bound to its address stay, and
// go on once the host has it again: until then, as in Linux, nothing leaves from an IPv4
// address. A connection waits, sends again and ends with ETIMEDOUT (on Linux with
// ENETUNREACH where something was in flight), and a datagram gives ENETUNREACH. From an IPv6
// address packets leave through another interface, if one leads there, and nothing comes
// back. It may be called only inside the scheduler.
func (n *NIC) Remove() {
	h := n.host
	h.nics = slices.DeleteFunc(h.nics, func(o *NIC) bool { return o == n })
	var first *netip.Addr
	if len(h.nics) > 0 {
		first = &h.nics[0].addr
	}
	h.addr.Store(first)
}

// String returns the host's name.
func (h *Host) String() string { return h.name }

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// World returns the world that the host is in.
func (h *Host) World() *World { return h.world }

// Place returns where on earth the host is.
func (h *Host) Place() Place { return h.place }

// NetHost returns h. Types that embed a *Host have it too, so that an assertion takes
// them all.
func (h *Host) NetHost() *Host { return h }

// Addr returns the address of the host's first interface, of whichever family; the zero
// Addr if it has none. It may be called inside the scheduler too.
func (h *Host) Addr() netip.Addr {
	if addr := h.addr.Load(); addr != nil {
		return *addr
	}
	return netip.Addr{}
}

// Addr6 returns the host's first IPv6 address; the zero Addr if it has none. It must not
// be called inside the scheduler.
func (h *Host) Addr6() netip.Addr {
	h.world.lock()
	defer h.world.unlock()
	for _, nic := range h.nics {
		if !nic.addr.Is4() {
			return nic.addr
		}
	}
	return netip.Addr{}
}

// Uplink returns the connection of a host on the internet, nil for others, such as instances
// of a VPC: for those there are [Host.Partition], [World.Between], and the wire of a physical
// host.
func (h *Host) Uplink() *Uplink { return h.uplink }

// TCP names a TCP port of the host, at its first address.
func (h *Host) TCP(port uint16) Endpoint { return h.endpoint(TCP, port) }

// UDP names a UDP port of the host, at its first address.
func (h *Host) UDP(port uint16) Endpoint { return h.endpoint(UDP, port) }

// TCP6 names a TCP port of the host, at its first IPv6 address.
func (h *Host) TCP6(port uint16) Endpoint { return h.TCP(port).at(h.Addr6()) }

// UDP6 names a UDP port of the host, at its first IPv6 address.
func (h *Host) UDP6(port uint16) Endpoint { return h.UDP(port).at(h.Addr6()) }

func (h *Host) endpoint(proto Protocol, port uint16) Endpoint {
	return Endpoint{Proto: proto, Addr: netip.AddrPortFrom(h.Addr(), port), Host: h}
}

// LastPeer returns the address from which the host last accepted a TCP connection:
// what the outside sees of the one who called.
func (h *Host) LastPeer() netip.Addr {
	h.world.lock()
	defer h.world.unlock()
	return h.lastPeer
}

// down reports whether the host has crashed or is switched off.
func (h *Host) down() bool { return len(h.crashes) > 0 || h.power == powerOff }

// Awake reports whether the host takes in what comes to it: it is switched on, and neither
// crashed nor paused. It may be called only inside the scheduler.
func (h *Host) Awake() bool { return !h.down() && len(h.pauses) == 0 }

// closed reports whether no socket can be opened on the host.
func (h *Host) closed() bool { return h.down() || h.power == powerEnding }

// shutdown ends every socket without a packet, and what waits in the host ends with it.
func (h *Host) shutdown() {
	for _, first := range h.conns {
		for c := first; c != nil; c = c.next {
			c.kill()
		}
	}
	clear(h.conns)
	for _, c := range h.kept {
		c.kill()
	}
	h.kept = nil
	for _, l := range h.listeners {
		l.closeLocked()
	}
	for _, u := range h.udp {
		u.closeLocked()
	}
	clear(h.listeners)
	clear(h.udp)
	h.lose(h.ring.take())
	h.lose(h.outbox.take())
	for _, f := range h.world.traffic {
		h.lose(f.leftBy(h))
	}
	h.forgetFragments()
	h.paths, h.complaints = pathMTUs{}, nil
	for _, e := range h.echoes {
		e.failed = true
	}
	h.world.wake(&h.changed)
}

// lose drops packets that wait in the host, if it has crashed or is switched off and not
// only ends with the world.
func (h *Host) lose(packets []*Packet) {
	for _, p := range packets {
		if p.at = h.world.now; h.down() {
			p.drop(Hop{Place: h.name, By: h, Rule: h.whyDown(), Code: "BAD_STATE"})
		}
		h.world.packets.put(p)
	}
}

// Step takes a packet that has come to the host.
func (h *Host) Step(p *Packet) Next {
	switch {
	case h.down():
		h.hit(h.crashes, p)
		return h.drop(p, h.whyDown(), "BAD_STATE")
	case p.train > 0 && len(h.world.traffic)+len(h.pauses) > 0:
		return p.Apart()
	case len(h.world.traffic) > 0 && p.from != h && h.world.interfere(p, h):
		return Next{fate: wayEndsKept}
	case len(h.pauses) > 0:
		return h.park(p)
	case !h.owns(p.Flow.Dst.Addr()):
		return h.drop(p, fmt.Sprintf("%v is not an address of this host", p.Flow.Dst.Addr()), "")
	case h.isMartian(p):
		return h.drop(p, fmt.Sprintf("martian: nothing from outside comes from %v to %v", p.Flow.Src.Addr(), p.Flow.Dst.Addr()), "")
	case p.IsFragment():
		return h.reassemble(p)
	}
	return h.accept(p)
}

// accept is Step for a packet that is whole.
func (h *Host) accept(p *Packet) Next {
	switch {
	case !h.speaks(p.Flow):
		if p.Flow.Proto != noNextHeader {
			h.complain(p, ProtocolUnreachable)
		}
		return h.drop(p, fmt.Sprintf("%v is not spoken here", p.Flow.Proto), "PROTOCOL_RESTRICTION")
	case p.train == 0 && !wire.VerifyTransport(uint8(p.Flow.Proto), p.Flow.Src.Addr(), p.Flow.Dst.Addr(), p.Payload()):
		return h.drop(p, "the checksum is wrong", "")
	case p.probe != nil:
		return h.answerProbe(p)
	}
	if p.trace != nil {
		p.trace.To = h.name
	}
	switch p.Flow.Proto {
	case TCP:
		return h.receiveTCP(p)
	case UDP:
		return h.receiveUDP(p)
	}
	return h.receiveICMP(p)
}

// hop begins a hop at the host, where packets arrive.
func (h *Host) hop(rule string, code Code) Hop {
	return Hop{Place: h.name, By: h, Direction: Ingress, Rule: rule, Code: code}
}

// drop ends the way of a packet that the host does not take.
func (h *Host) drop(p *Packet, rule string, code Code) Next { return p.Drop(h.hop(rule, code)) }

// deliver ends the way of a packet that the host's stack has taken. What took it is of
// interest only of one that is traced.
func (h *Host) deliver(p *Packet, rule string) Next {
	if !p.Traced() {
		return Next{fate: wayEnds}
	}
	return p.Delivered(h.hop(rule, ""))
}

// speaks reports whether the host has a stack for the packet's protocol.
func (h *Host) speaks(f Flow) bool {
	return f.Proto == TCP || f.Proto == UDP || f.Proto == icmpFor(f.Dst.Addr()).proto
}

// send puts a packet on its way.
func (h *Host) send(p *Packet) {
	if h.down() {
		h.world.packets.put(p)
		return
	}
	p.from = h
	p.event.Key = mix(h.key, p.event.Key)
	h.depart(p)
}

// depart is where a packet that is numbered leaves. Where packets are recorded, or faults
// of hosts are in force, there are no trains: each counts by itself.
func (h *Host) depart(p *Packet) {
	w := h.world
	if p.train > 0 && len(w.recordings)+len(w.traffic)+len(h.pauses) > 0 {
		for i := range p.Segments() {
			h.depart(p.segment(i))
		}
		w.packets.put(p)
		return
	}
	w.startTrace(p, h.name)
	h.leave(p)
}

// leave lets a packet out, unless a fault keeps it in.
func (h *Host) leave(p *Packet) {
	to := h.outlet(p)
	switch {
	case len(h.pauses) > 0:
		h.hit(h.pauses, p)
		h.outbox.hold(p, Hop{Place: h.name, By: h.pauses[0], Rule: "the host is paused"})
	case len(h.world.traffic) > 0 && to != Node(h) && h.world.interfere(p, nil):
	default:
		h.world.Send(p, to)
	}
}

// hit counts p as one that each of the faults has taken hold of.
func (h *Host) hit(faults []*Fault, p *Packet) {
	for _, f := range faults {
		f.Hit(p)
	}
}

// ipPacket returns a packet whose IP header is written and whose transport part of
// size bytes is not.
func (w *World) ipPacket(f Flow, size int, seq uint64) *Packet {
	return w.ipPacketHashed(&f, f.Hash(), size, seq)
}

// ipPacketHashed is ipPacket for a flow whose hash is known.
func (w *World) ipPacketHashed(f *Flow, key uint64, size int, seq uint64) *Packet {
	if !f.Dst.Addr().Is4() {
		return w.ipPacket6(f, key, size, seq)
	}
	p := w.NewPacket(wire.IPv4HeaderLen+size, key, seq)
	ip := wire.IPv4{TTL: 64, Proto: uint8(f.Proto), DF: true, Src: f.Src.Addr(), Dst: f.Dst.Addr()}
	ip.Put(p.Bytes(), size)
	p.Flow, p.hash = *f, key
	p.l4 = p.head + wire.IPv4HeaderLen
	return p
}

// number numbers a packet that belongs to no connection, and begins the numbering of one
// that does: by the time, so that what the host did before does not show, and so that
// who uses a port again does not draw the same lots again.
func (h *Host) number() uint64 { return uint64(h.world.now) }

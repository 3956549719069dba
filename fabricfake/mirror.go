package fabricfake

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// Numbers of traffic mirroring. Sources: the pages of
// https://docs.aws.amazon.com/vpc/latest/mirroring/what-is-traffic-mirroring.html
// and, for the limits, the error codes of the API.
const (
	// MirrorPort is the UDP port to which mirrored packets are sent.
	MirrorPort = wire.VXLANPort

	maxMirrorSessions = 3   // of one source
	maxMirrorSources  = 100 // of one target, for the largest instance types: of others it is 10
	maxMirrorVNI      = 1<<24 - 1

	// mirrorOverhead is what the documentation adds to a packet's length before it
	// compares it with the target's MTU.
	mirrorOverhead = 54
)

// MirrorConfig shapes a mirror session. Target and the filter must be given.
type MirrorConfig struct {
	// Target is the interface to which copies are sent, in the source's VPC.
	Target *Interface

	// Number orders the sessions of one source, from 1 to 32766: the first session
	// whose filter takes a packet gets it, and no other. If 0, it is 1.
	Number int

	// Filter chooses the packets. The zero MirrorFilter chooses none.
	Filter MirrorFilter

	// VNI marks the copies, up to 24 bits; two sessions may have the same. If 0, one that no
	// session has is drawn from the world's seed.
	VNI uint32

	// PacketLength is how many bytes behind the VXLAN header are sent at most. If 0,
	// all of them.
	PacketLength int
}

// MirrorSession copies packets of one interface to another. The copies travel as VXLAN
// over UDP port 4789 from the source's primary address, along the source's routes. The
// source's groups do not apply to them, the ACLs on the way and the target's groups do.
// Packets that groups or ACLs refuse at the source are not mirrored. A packet that is
// longer than the target's MTU takes is cut.
type MirrorSession struct {
	source *Interface
	name   string
	cfg    MirrorConfig
	rules  [3][]mirrorRule // by direction
	sent   uint64
}

// Mirror starts a session. It fails the test for what the API refuses: a target that is
// missing or of another VPC, an interface that is source and target, a fourth session of
// one source, a target with 100 other sources, an eleventh rule, a number that is taken or out of range,
// an interface that is deleted (InvalidNetworkInterfaceID.NotFound).
func (f *Interface) Mirror(name string, cfg MirrorConfig) *MirrorSession {
	f.tb().Helper()
	w := f.vpc.world
	if cfg.Number == 0 {
		cfg.Number = 1
	}
	s := &MirrorSession{source: f, name: name, cfg: cfg}
	err := checkName("mirror session", name)
	if err == nil {
		s.rules[netfake.Ingress], err = readMirrorRules(cfg.Filter.Ingress)
	}
	if err == nil {
		s.rules[netfake.Egress], err = readMirrorRules(cfg.Filter.Egress)
	}
	if err == nil {
		everywhere := netfake.Shared(w, newRegions)
		w.Do(func(time.Duration) {
			if err = s.check(); err == nil {
				s.start(everywhere)
			}
		})
	}
	if err != nil {
		w.TB().Fatalf("%v (mirror session %s of %s)", err, name, f.name)
	}
	return s
}

// start has the source mirror from now on.
func (s *MirrorSession) start(everywhere *regions) {
	f := s.source
	if s.cfg.VNI == 0 {
		s.cfg.VNI = everywhere.drawMirrorVNI(f.vpc.world.Rand("vni of mirror session " + f.ID() + " " + s.name))
	}
	f.mirrors = append(f.mirrors, s)
	slices.SortFunc(f.mirrors, func(a, b *MirrorSession) int { return cmp.Compare(a.cfg.Number, b.cfg.Number) })
	f.device.mirrored++
	s.cfg.Target.mirrorTarget++
}

// check says what the API would refuse.
func (s *MirrorSession) check() error {
	f, t := s.source, s.cfg.Target
	switch {
	case f.gone:
		return f.checkAlive()
	case t == nil:
		return refuse(codeParameterValue, "the session has no target")
	case t.gone:
		return t.checkAlive()
	case t.vpc != f.vpc:
		return refuse(codeParameterValue, "%s is no interface of vpc %s", t.name, f.vpc.name)
	case f.managed || t.managed:
		return refuse(codeParameterValue, "an interface that a service manages is mirrored by nobody and to nobody")
	case t == f || f.mirrorTarget > 0:
		return refuse("InterfaceInUseByTrafficMirrorTarget", "%s is a target", f.name)
	case len(t.mirrors) > 0:
		return refuse("InterfaceInUseByTrafficMirrorSession", "%s is a source", t.name)
	case len(f.mirrors) == maxMirrorSessions:
		return refuse("TrafficMirrorSessionsPerInterfaceLimitExceeded", "%s has %d sessions", f.name, maxMirrorSessions)
	case t.mirrorSources(f) >= maxMirrorSources:
		return refuse("TrafficMirrorSourcesPerTargetLimitExceeded", "%s is the target of %d sources", t.name, maxMirrorSources)
	case s.cfg.Number < 1 || s.cfg.Number > maxMirrorNumber:
		return refuse(codeParameterValue, "session number %d: it is from 1 to %d", s.cfg.Number, maxMirrorNumber)
	case slices.ContainsFunc(f.mirrors, func(o *MirrorSession) bool { return o.cfg.Number == s.cfg.Number }):
		return refuse(codeParameterValue, "%s has a session number %d", f.name, s.cfg.Number)
	case s.cfg.VNI > maxMirrorVNI:
		return refuse(codeParameterValue, "VNI %d has more than 24 bits", s.cfg.VNI)
	case s.cfg.PacketLength < 0:
		return refuse(codeParameterValue, "packet length %d", s.cfg.PacketLength)
	}
	return nil
}

// drawMirrorVNI draws a number that no session of the account has. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTrafficMirrorSession.html
func (rs *regions) drawMirrorVNI(from *rand.Rand) uint32 {
	used := map[uint32]bool{}
	for _, r := range rs.all {
		for _, f := range r.interfaces {
			for _, s := range f.mirrors {
				used[s.cfg.VNI] = true
			}
		}
	}
	for {
		if vni := 1 + from.Uint32N(maxMirrorVNI); !used[vni] {
			return vni
		}
	}
}

// mirrorSources returns how many interfaces other than one have sessions to f.
func (f *Interface) mirrorSources(but *Interface) (n int) {
	if f.mirrorTarget < maxMirrorSources {
		return 0 // of so few sessions there is room for one more
	}
	for _, source := range f.vpc.interfaces() {
		if source != but && slices.ContainsFunc(source.mirrors, func(s *MirrorSession) bool { return s.cfg.Target == f }) {
			n++
		}
	}
	return n
}

// takes reports whether the session's filter chooses a packet.
func (s *MirrorSession) takes(dir netfake.Direction, f netfake.Flow, service bool) bool {
	if service {
		return s.cfg.Filter.Resolver == ServiceMirrored
	}
	for i := range s.rules[dir] {
		if s.rules[dir][i].matches(f) {
			return s.rules[dir][i].Action == MirrorAccept
		}
	}
	return false
}

// String returns the session's name.
func (s *MirrorSession) String() string { return s.name }

// VNI returns the number that marks the session's copies.
func (s *MirrorSession) VNI() uint32 { return s.cfg.VNI }

// Sent returns how many packets were copied.
func (s *MirrorSession) Sent() (n uint64) {
	s.source.vpc.world.Do(func(time.Duration) { n = s.sent })
	return n
}

// Delete ends the session. Deleting twice is harmless.
func (s *MirrorSession) Delete() {
	made(s, "*MirrorSession").source.vpc.world.Do(func(time.Duration) { s.end() })
}

// end is Delete inside the scheduler.
func (s *MirrorSession) end() {
	f := s.source
	i := slices.Index(f.mirrors, s)
	if i < 0 {
		return
	}
	f.mirrors = slices.Delete(f.mirrors, i, i+1)
	f.device.mirrored--
	s.cfg.Target.mirrorTarget--
}

// mirror copies a packet that groups and ACLs have let through. Service says that it is
// one of the VPC's resolver.
func (f *Interface) mirror(p *netfake.Packet, dir netfake.Direction, service bool) {
	if p.Probing() {
		return
	}
	for _, s := range f.mirrors {
		if s.takes(dir, p.Flow, service) {
			s.send(p)
			return
		}
	}
}

// send puts a copy of a packet on its way.
func (s *MirrorSession) send(p *netfake.Packet) {
	const outer = wire.IPv4HeaderLen + wire.UDPHeaderLen
	f, w := s.source, s.source.vpc.world
	inner := p.Bytes()[:min(p.Len(), MTU-mirrorOverhead)]
	frame := wire.EthernetHeaderLen + len(inner)
	if s.cfg.PacketLength > 0 {
		frame = min(frame, s.cfg.PacketLength)
	}
	s.sent++
	c := w.NewPacket(outer+wire.VXLANHeaderLen+wire.EthernetHeaderLen+len(inner), p.Flow.Hash(), s.sent)
	b := c.Bytes()
	payload := wire.VXLANHeaderLen + frame
	ip := wire.IPv4{Src: f.addr, Dst: s.cfg.Target.addr, Proto: uint8(netfake.UDP), TTL: 64, DF: true}
	ip.Put(b, wire.UDPHeaderLen+payload)
	udp := wire.UDP{SrcPort: entropy(p), DstPort: MirrorPort}
	udp.Put(b[wire.IPv4HeaderLen:], payload)
	wire.PutVXLAN(b[outer:], s.cfg.VNI)
	wire.PutEthernet(b[outer+wire.VXLANHeaderLen:], macOf(p.Flow.Dst.Addr()), macOf(p.Flow.Src.Addr()), innerType(inner))
	copy(b[outer+wire.VXLANHeaderLen+wire.EthernetHeaderLen:], inner)
	if err := c.Decode(); err != nil {
		panic(fmt.Sprint("fabricfake: a mirrored packet: ", err))
	}
	w.Trace(c, f.name)
	w.Send(c, (*mirrorOut)(s))
}

// macOf makes a locally administered hardware address of an IP address: there is no
// Ethernet below the interfaces of this model, and a copy needs a header of it.
func macOf(addr netip.Addr) (mac [6]byte) {
	b := addr.AsSlice()
	mac[0] = 0x02
	copy(mac[2:], b[len(b)-4:])
	return mac
}

// mirrorOut takes copies from the source to the fabric.
type mirrorOut MirrorSession

// String returns the session's name.
func (s *mirrorOut) String() string { return s.name }

// Step sends a copy where the ACL and the routes of the source's subnet let it.
func (s *mirrorOut) Step(p *netfake.Packet) netfake.Next {
	f, dst, m := s.source, p.Flow.Dst.Addr(), passage{partial: true}
	if f.subnet.contains(dst) {
		return f.toInterface(p, dst, &m)
	}
	if f.subnet.stopped(p, f, netfake.Egress, &m) {
		return netfake.Next{}
	}
	return f.route(p, &m)
}

// isMirrored reports whether a packet that has come for the interface is a copy that a
// session has sent to it. Flow logs do not record those.
func (f *Interface) isMirrored(p *netfake.Packet) bool {
	return f.mirrorTarget > 0 && p.Flow.Proto == netfake.UDP && p.Flow.Dst.Port() == MirrorPort
}

// Mirrored is a copy as a mirror session's target receives it in a UDP datagram.
type Mirrored struct {
	VNI    uint32
	Packet []byte // from its IP header on, perhaps cut
}

// ParseMirrored reads a datagram that came to MirrorPort.
func ParseMirrored(datagram []byte) (Mirrored, error) {
	vni, frame, err := wire.ParseVXLAN(datagram)
	if err != nil {
		return Mirrored{}, fmt.Errorf("fabricfake: mirrored packet: %w", err)
	}
	if len(frame) < wire.EthernetHeaderLen {
		return Mirrored{}, fmt.Errorf("fabricfake: mirrored packet: %w", wire.ErrShort)
	}
	if t := binary.BigEndian.Uint16(frame[12:]); t != wire.EtherTypeIPv4 && t != wire.EtherTypeIPv6 {
		return Mirrored{}, fmt.Errorf("fabricfake: mirrored packet: no IP inside, EtherType %#04x", t)
	}
	return Mirrored{vni, frame[wire.EthernetHeaderLen:]}, nil
}

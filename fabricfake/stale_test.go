package fabricfake_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// ferry is a client, three instances on hosts of their own, and an interface that goes from
// one of them to another, with an address of which it can be relieved.
type ferry struct {
	w      *netfake.World
	subnet *fabricfake.Subnet
	client *fabricfake.Instance
	homes  [3]*fabricfake.Instance
	hosts  []*fabricfake.PhysicalHost
	f      *fabricfake.Interface
}

const ferried, second, clientAt = "10.0.0.50", "10.0.0.51", "10.0.0.4"

func newFerry(t *testing.T, w *netfake.World) *ferry {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	x := &ferry{w: w, subnet: v.Subnet("app", "10.0.0.0/24", "a")}
	open := fabricfake.Groups{v.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
	x.client = x.subnet.Instance("client", fabricfake.InstanceConfig{Groups: open})
	for i := range x.homes {
		x.homes[i] = x.subnet.Instance(fmt.Sprint("home", i), fabricfake.InstanceConfig{Groups: open})
	}
	x.f = x.subnet.Interface("ferried", fabricfake.InterfaceConfig{PrivateIP: ferried, SecondaryIPs: []string{second}, Groups: open})
	x.f.Attach(x.homes[0])
	for _, i := range append(x.homes[:], x.client) {
		if _, err := i.ListenPacket("udp", ":9"); err != nil {
			t.Fatal(err)
		}
		x.hosts = append(x.hosts, host(i))
	}
	return x
}

// there and back send a datagram to the interface, and one from it.
func (x *ferry) there() { x.client.Interface().Inject(datagram(clientAt+":1", ferried+":9", "there")) }
func (x *ferry) back()  { x.f.Inject(datagram(ferried+":1", clientAt+":9", "back")) }

// half is half of the way between two hosts.
func (x *ferry) half() { x.w.Sleep(fabricfake.LatencyZone / 2) }

func (x *ferry) move(to int) {
	x.f.Detach()
	x.f.Attach(x.homes[to])
}

// frame is what the host of a home would send to the client in the name of the interface.
func (x *ferry) frame(home int) fabricfake.Frame {
	return fabricfake.Frame{
		From: host(x.homes[home]).Addr(), To: host(x.client).Addr(), VNI: x.subnet.VPC().VNI(), Source: x.f.Number(),
		Receiver: number(x.client), Inner: datagram(ferried+":1", clientAt+":9", "back"),
	}
}

// frameThere is what the client's host would send to the host of a home for the interface.
func (x *ferry) frameThere(home int) fabricfake.Frame {
	f := x.frame(home)
	f.From, f.To, f.Source, f.Receiver = f.To, f.From, f.Receiver, f.Source
	f.Inner = datagram(clientAt+":1", ferried+":9", "there")
	return f
}

// What is under way when an interface moves is dropped as stale, without an alarm, where the
// device can tell; a forgery is one before and after.
func TestStaleAndForged(t *testing.T) {
	const (
		delivered  = "delivered"
		noLonger   = "stale: interface 5, ferried, is no longer here"
		notThere   = "a frame of vni 1 from 192.168.0.4 in the name of interface 5, which is not there"
		notMapped  = "a frame from 192.168.0.4 with the source "
		newAddress = "a frame of vni 1 from 192.168.0.5 in the name of interface 5, which is not there"
	)
	for _, row := range []struct {
		name string
		do   func(x *ferry)
		want string
	}{
		// Under way to it.
		{"to where it stays", func(x *ferry) { x.there(); x.half() }, delivered},
		{"to where it was", func(x *ferry) { x.there(); x.half(); x.move(1) }, noLonger},
		{"to where it is again", func(x *ferry) { x.there(); x.half(); x.move(1); x.move(0) }, delivered},
		{"to where it was, and it is nowhere", func(x *ferry) { x.there(); x.half(); x.f.Detach() }, noLonger},
		{"to where it was, and it is deleted", func(x *ferry) { x.there(); x.half(); x.f.Detach(); x.f.Delete() }, noLonger},
		{"to where its instance ran", func(x *ferry) {
			x.homes[0].Stop()
			x.w.Sleep(fabricfake.DefaultShutdownTime - fabricfake.LatencyZone/2)
			x.there()
		}, noLonger},
		{"by who has yet to be told", func(x *ferry) {
			host(x.client).SetMappingDelay(time.Hour)
			x.move(1)
			x.w.Sleep(time.Hour - 1)
			x.there()
		}, noLonger},
		{"by who has been told", func(x *ferry) {
			host(x.client).SetMappingDelay(time.Hour)
			x.move(1)
			x.w.Sleep(time.Hour)
			x.there()
		}, delivered},
		// The sender has to be in order all the same.
		{"to where it was, from an impostor", func(x *ferry) {
			f := x.frameThere(0)
			x.move(1)
			f.From = host(x.homes[2]).Addr()
			host(x.homes[2]).Inject(f.Marshal())
		}, "forged: a frame of vni 1 from 192.168.0.6 in the name of interface 1, which is not there"},
		{"to where it was, in another VPC", func(x *ferry) {
			f := x.frameThere(0)
			x.move(1)
			f.VNI = 9
			host(x.client).Inject(f.Marshal())
		}, "forged: a frame of vni 9 for interface 5, which is not here"},
		{"to where it never was", func(x *ferry) {
			f := x.frameThere(2)
			x.move(1)
			host(x.client).Inject(f.Marshal())
		}, "forged: a frame of vni 1 for interface 5, which is not here"},

		// Under way from it.
		{"from where it stays", func(x *ferry) { x.back(); x.half() }, delivered},
		{"from where it was", func(x *ferry) { x.back(); x.half(); x.move(1) }, "stale: " + notThere + " any more"},
		{"from where it was, and it is nowhere", func(x *ferry) { x.back(); x.half(); x.f.Detach() }, "stale: " + notThere + " any more"},
		{"from where it was, and it is deleted", func(x *ferry) { x.back(); x.half(); x.f.Detach(); x.f.Delete() }, "stale: " + notThere + " any more"},
		{"from where it was before it moved twice", func(x *ferry) { x.back(); x.half(); x.move(1); x.move(2) }, "stale: " + notThere + " any more"},
		{"from where it is again", func(x *ferry) { x.back(); x.half(); x.move(1); x.move(0) }, delivered},
		{"from an address that has gone to another", func(x *ferry) {
			x.f.Inject(datagram(second+":1", clientAt+":9", "back"))
			x.half()
			x.homes[1].Interface().MovePrivateIP(second)
		}, "stale: " + notMapped + second + ", which is not mapped there any more"},
		{"from an address that nobody has any more", func(x *ferry) {
			x.f.Inject(datagram(second+":1", clientAt+":9", "back"))
			x.half()
			x.f.Unassign(x.f.Addresses()[1])
		}, "stale: " + notMapped + second + ", which is not mapped there any more"},
		{"forwarded, before that was forbidden", func(x *ferry) {
			x.f.SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			x.f.Inject(datagram("203.0.113.5:1", clientAt+":9", "back"))
			x.half()
			x.f.SetSourceDestCheck(fabricfake.SourceDestCheckOn)
		}, "stale: " + notMapped + "203.0.113.5, which is not mapped there any more"},
		{"forwarded, while it is allowed", func(x *ferry) {
			x.f.SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			x.f.Inject(datagram("203.0.113.5:1", clientAt+":9", "back"))
		}, delivered},

		// Nothing that honest hosts send is under way for longer than that.
		{"replayed from where it was, at last", func(x *ferry) {
			frame := x.frame(0).Marshal()
			x.move(1)
			x.w.Sleep(fabricfake.FrameLifetime - fabricfake.LatencyZone - 1)
			host(x.homes[0]).Inject(frame)
		}, "stale: " + notThere + " any more"},
		{"replayed from where it was, too late", func(x *ferry) {
			frame := x.frame(0).Marshal()
			x.move(1)
			x.w.Sleep(fabricfake.FrameLifetime - fabricfake.LatencyZone)
			host(x.homes[0]).Inject(frame)
		}, "forged: " + notThere},
		{"from where it never was", func(x *ferry) {
			x.move(1)
			host(x.homes[2]).Inject(x.frame(2).Marshal())
		}, "forged: a frame of vni 1 from 192.168.0.6 in the name of interface 5, which is not there"},
		{"in the name of one with the same address before", func(x *ferry) {
			frame := x.frame(0).Marshal()
			x.f.Detach()
			x.f.Delete()
			again := x.subnet.Interface("again", fabricfake.InterfaceConfig{PrivateIP: ferried})
			again.Attach(x.homes[0])
			x.w.Sleep(fabricfake.FrameLifetime)
			host(x.homes[0]).Inject(frame)
		}, "forged: " + notThere},

		// Who has yet to be told that it is somewhere else cannot tell it from a forger, and
		// believes, in its name, the host where it was.
		{"from where it is, to who has yet to be told", func(x *ferry) {
			host(x.client).SetMappingDelay(time.Hour)
			x.move(1)
			x.back()
		}, "forged: " + newAddress},
		{"from where it was, to who has yet to be told", func(x *ferry) {
			host(x.client).SetMappingDelay(time.Hour)
			frame := x.frame(0).Marshal()
			x.move(1)
			x.w.Sleep(time.Hour - time.Second)
			host(x.homes[0]).Inject(frame)
		}, delivered},
	} {
		for _, policy := range []fabricfake.MissPolicy{fabricfake.MissDrop, fabricfake.MissAsk} {
			t.Run(fmt.Sprintf("%s, policy %d", row.name, policy), func(t *testing.T) {
				netfake.Run(t, func(t *testing.T, w *netfake.World) {
					x := newFerry(t, w)
					if policy == fabricfake.MissAsk {
						x.acquaint()
					}
					rec := w.Record(nil)
					row.do(x)
					w.Sleep(time.Millisecond)
					if got := x.became(rec); got != row.want {
						t.Errorf("%s, want %s", got, row.want)
					}
				})
			})
		}
	}
}

// acquaint has all hosts ask who everybody is, and remember it. What the first home would say
// to itself, from one of its interfaces to the other, it would not take from a network.
func (x *ferry) acquaint() {
	x.subnet.VPC().Region().Mapping().SetMissPolicy(fabricfake.MissAsk)
	all := append(x.homes[:], x.client)
	for _, from := range all {
		for _, to := range all {
			if from != to {
				from.Interface().Inject(datagram(from.Addr().String()+":1", to.Addr().String()+":9", "hello"))
			}
		}
		if from == x.homes[0] {
			continue
		}
		from.Interface().Inject(datagram(from.Addr().String()+":1", ferried+":9", "hello"))
		x.f.Inject(datagram(ferried+":1", from.Addr().String()+":9", "hello"))
		x.f.Inject(datagram(second+":1", from.Addr().String()+":9", "hello"))
	}
	x.w.Sleep(time.Second)
}

// became says what became of the only packet: the hosts count it, and a forged one alone
// raises an alarm.
func (x *ferry) became(rec *netfake.Recording) string {
	var stale, forged uint64
	for _, h := range x.hosts {
		stale, forged = stale+h.Stale(), forged+h.Rejected()
	}
	alarms, drops := x.w.Alarms(), x.w.Drops()
	switch {
	case len(drops) == 0 && len(alarms) == 0 && stale+forged == 0 && len(rec.Traces()) == 1:
		return "delivered"
	case len(drops) != 1:
	case drops[0].Hop.Code == "MAPPING_STALE" && len(alarms) == 0 && stale == 1 && forged == 0:
		return "stale: " + drops[0].Hop.Rule
	case drops[0].Hop.Code == "MAPPING_INVALID" && len(alarms) == 1 && stale == 0 && forged == 1:
		return "forged: " + drops[0].Hop.Rule
	}
	return fmt.Sprintf("%d stale, %d forged, alarms %v, drops %v", stale, forged, alarms, drops)
}

// What a host of an edge takes for stale it counts as well.
func TestStaleAtTheEdge(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := newFerry(t, w)
		v := x.subnet.VPC()
		out := &exit{}
		edge := fabricfake.NewEdge(v, "edge", out)
		v.MainRouteTable().Route("0.0.0.0/0", &throughEdge{edge})
		x.f.Inject(datagram(ferried+":1", "203.0.113.5:9", "out"))
		x.w.Sleep(time.Millisecond)
		x.f.Inject(datagram(ferried+":1", "203.0.113.5:9", "late"))
		x.half()
		x.f.Detach()
		w.Sleep(time.Millisecond)
		if out.packets != 1 || edge.Stale() != 1 || edge.Rejected() != 0 || len(w.Alarms()) != 0 {
			t.Errorf("%d left, %d stale, %d forged, alarms %v", out.packets, edge.Stale(), edge.Rejected(), w.Alarms())
		}
	})
}

// throughEdge is a target that leads to an edge.
type throughEdge struct{ e *fabricfake.Edge }

func (t *throughEdge) String() string              { return t.e.String() }
func (t *throughEdge) Attached() bool              { return true }
func (t *throughEdge) NextHop() fabricfake.NextHop { return fabricfake.NextHop{Edge: t.e} }

// Who has yet to be told that the interface is gone to which his route leads sends there, and
// it is dropped as stale; who has been told knows why he cannot. From an edge it is the same.
func TestStaleRoute(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := newFerry(t, w)
		v := x.subnet.VPC()
		x.f.SetSourceDestCheck(fabricfake.SourceDestCheckOff)
		v.MainRouteTable().Route("198.51.100.0/24", x.f)
		in := &entry{}
		in.edge = fabricfake.NewEdge(v, "edge", in)
		in.edge.Associate(v.RouteTable("of the edge").Route("10.0.0.0/24", x.f))
		edge := netfake.Endpoint{Proto: netfake.UDP, Addr: netip.MustParseAddrPort("10.0.0.4:9")}
		outside := w.NewHost("outside", netfake.Place{})
		outside.AddNIC(netip.MustParseAddr("203.0.113.5"), 1500, in)
		to := netfake.Endpoint{Proto: netfake.UDP, Addr: netip.MustParseAddrPort("198.51.100.1:9")}
		v.Region().Mapping().SetDelay(time.Second)
		for _, step := range []struct {
			name string
			do   func()
			rule string
			code netfake.Code
			lag  bool
		}{
			{"it is there", func() {}, " is not an address of this host", "", false},
			{"its instance is stopped", func() { x.homes[0].Stop(); x.homes[0].Await(fabricfake.Stopped) }, "interface 5, ferried, is no longer here", "MAPPING_STALE", false},
			{"until they are told", func() { w.Sleep(time.Second - 1) }, "interface 5, ferried, is no longer here", "MAPPING_STALE", false},
			{"they are told", func() { w.Sleep(1) }, "home0 is stopped", "BAD_STATE", false},
			{"it is elsewhere", x.homes[0].Start, "no interface has 10.0.0.50, vni 1", "NO_POSSIBLE_DESTINATION", true},
			{"they are told of that", func() { w.Sleep(time.Second) }, " is not an address of this host", "", false},
		} {
			step.do()
			for who, b := range map[string]*netfake.Hop{"the client": x.client.Probe(to).Blocker(), "the edge": outside.Probe(edge).Blocker()} {
				if b == nil || !strings.HasSuffix(b.Rule, step.rule) || b.Code != step.code || step.lag != strings.Contains(b.Hint, "has yet to be told where 10.0.0.50 is now") {
					t.Errorf("%s: %s: blocked by %+v", step.name, who, b)
				}
			}
		}
	})
}

// entry is the node behind an edge: what it is sent it brings into the VPC.
type entry struct{ edge *fabricfake.Edge }

func (e *entry) String() string                      { return "entry" }
func (e *entry) Step(p *netfake.Packet) netfake.Next { return e.edge.Enter(p) }
func (e *entry) Leave(p *netfake.Packet, from *fabricfake.Interface) netfake.Next {
	return netfake.Next{}
}

package fabricfake_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// dockerBridge is the kernel of an instance with one container, whose packets leave under
// the instance's address: as Docker does it, but with the container's ports.
type dockerBridge struct {
	instance  *fabricfake.Instance
	container *netfake.Host
	ports     map[uint16]bool // of the container's connections
}

// newDockerBridge starts a container behind a bridge on an instance.
func newDockerBridge(i *fabricfake.Instance, name string) *dockerBridge {
	b := &dockerBridge{instance: i, container: i.World().NewHost(name, i.Place()), ports: map[uint16]bool{}}
	b.container.AddNIC(netip.MustParseAddr("172.17.0.2"), 1500, b)
	i.Forward(b)
	return b
}

func (b *dockerBridge) String() string { return "docker0 of " + b.instance.Name() }

// Step routes, which costs a hop.
func (b *dockerBridge) Step(p *netfake.Packet) netfake.Next {
	out := p.Flow.Src.Addr() == b.container.Addr()
	if !out && !b.ports[p.Flow.Dst.Port()] {
		return p.To(b.instance.Host)
	}
	if !p.CountDown() {
		return p.Drop(netfake.Hop{Place: b.String(), By: b, Rule: "the TTL is used up"})
	}
	if out {
		port := p.Flow.Src.Port()
		if p.Probing() && !b.ports[port] {
			p.Undo(func() { delete(b.ports, port) })
		}
		b.ports[port] = true
		p.SetSrc(netip.AddrPortFrom(b.instance.Addr(), p.Flow.Src.Port()))
		return p.To(b.instance.Interface().Out())
	}
	p.SetDst(netip.AddrPortFrom(b.container.Addr(), p.Flow.Dst.Port()))
	return p.To(b.container)
}

// What breaks in production: with the hop limit that instances have by default, a container
// asks for a token of instance metadata and waits in vain, while the machine that it runs on
// gets one. The request is taken; it is the answer that leaves with a TTL of 1, and ends at the
// bridge. A hop limit of 2 mends it.
// fact: imds.hoplimit
func TestContainerAsksForToken(t *testing.T) {
	for _, row := range []struct {
		limit               int
		machine, container  bool
		droppedAtTheBridges bool
	}{
		{1, true, false, true},
		{2, true, true, false},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
			i := s.Instance("i", fabricfake.InstanceConfig{Metadata: fabricfake.MetadataOptions{HTTPPutResponseHopLimit: row.limit}})
			container := newDockerBridge(i, "container").container
			for h, want := range map[*netfake.Host]bool{i.Host: row.machine, container: row.container} {
				if got := getsToken(t, h); got != want {
					t.Errorf("hop limit %d: %v gets a token: %v", row.limit, h, got)
				}
			}
			var dropped bool
			for _, d := range w.Drops() {
				dropped = dropped || d.Hop.Rule == "the TTL is used up"
			}
			if dropped != row.droppedAtTheBridges {
				t.Errorf("hop limit %d: something ended at the bridge: %v", row.limit, dropped)
			}
		})
	}
}

// getsToken reports whether a host gets a token of IMDSv2 within 5 s.
func getsToken(t *testing.T, h *netfake.Host) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(timeout(t, 5*time.Second), "PUT", "http://169.254.169.254/latest/api/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60")
	client := h.HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// What an instance forwards ends with it: when it crashes, while it is paused, and when the
// test takes the node away.
func TestForward(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		bridge := newDockerBridge(p.two, "container")
		floating := p.b.Interface("floating", fabricfake.InterfaceConfig{Groups: fabricfake.Groups{p.group}})
		floating.Attach(p.two) // comes behind the bridge too
		if err := serve(w, p.one.Host, 22); err != nil {
			t.Fatal(err)
		}
		p.one.Interface().SetGroups(fabricfake.Groups{p.group})
		outcome := func(want netfake.Outcome) {
			t.Helper()
			if r := bridge.container.Probe(p.one.TCP(22)); r.Outcome != want {
				t.Errorf("the container is %v, want %v", r.Outcome, want)
			}
		}
		outcome(netfake.Answered)
		p.talk(t) // the machine still has its own sockets
		if r := p.one.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(floating.PrivateIP(), 22)}); r.Outcome != netfake.Answered {
			t.Errorf("at its other interface: %v", r.Outcome)
		}
		crash := p.two.Crash()
		outcome(netfake.Silence)
		crash.Undo()
		outcome(netfake.Answered)
		pause := p.two.Pause()
		outcome(netfake.Silence)
		pause.Undo()
		outcome(netfake.Answered)
		for _, n := range []netfake.Node{nil, bridge} {
			p.two.Forward(n)
			c, err := bridge.container.Dialer().DialContext(timeout(t, 2*time.Second), "tcp", p.one.Addr().String()+":22")
			if err == nil {
				c.Close()
			}
			if (err == nil) != (n == bridge) {
				t.Errorf("behind %v: %v", n, err)
			}
		}
	})
}

// A route to an instance leads to its primary interface for as long as it lives.
// fact: rtb.targets.instance, rtb.blackhole.instance
func TestRouteToInstance(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		off := fabricfake.InstanceConfig{Interface: p.b.Interface("kept", fabricfake.InterfaceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff, Groups: fabricfake.Groups{p.group}})}
		nat := p.b.Instance("nat", off)
		p.a.Route("203.0.113.0/24", nat)
		to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("203.0.113.9:22")}
		for _, row := range []struct {
			name string
			do   func()
			code netfake.Code
			rule string
		}{
			{"it comes there", func() {}, "", "203.0.113.9 is not an address of this host"},
			{"also with a second interface", func() { p.b.Interface("second", fabricfake.InterfaceConfig{}).Attach(nat) }, "", "203.0.113.9 is not an address of this host"},
			{"with the check on it is not taken", func() { nat.Interface().SetSourceDestCheck(fabricfake.SourceDestCheckOn) }, "ENI_SOURCE_DEST_CHECK_RESTRICTION", ""},
			// fact: rtb.blackhole.stopped
			{"when it is stopped", func() { nat.ForceStop() }, "BAD_STATE", "nat is stopped"},
			{"or terminated", func() { nat.ForceTerminate() }, "BAD_STATE_ROUTE", "203.0.113.0/24 → nat (blackhole)"},
			{"until another has its interface", func() {
				off.Interface.SetSourceDestCheck(fabricfake.SourceDestCheckOff)
				p.b.Instance("heir", off)
			}, "", "203.0.113.9 is not an address of this host"},
		} {
			row.do()
			b := p.one.Probe(to).Blocker()
			if b == nil || b.Code != row.code || row.rule != "" && b.Rule != row.rule {
				t.Errorf("%s: %v", row.name, b)
			}
		}
	})
}

func TestRouteToInstanceRefusals(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(s *fabricfake.Subnet, i *fabricfake.Instance)
		want string // "": accepted
	}{
		// fact: rtb.targets.instance
		{"one interface", func(s *fabricfake.Subnet, i *fabricfake.Instance) { s.Route("0.0.0.0/0", i) }, ""},
		// fact: rtb.targets.instance
		{"two interfaces", func(s *fabricfake.Subnet, i *fabricfake.Instance) {
			s.Interface("f", fabricfake.InterfaceConfig{}).Attach(i)
			s.Route("0.0.0.0/0", i)
		}, "InvalidInstanceID: i has 2 interfaces attached"},
		{"one of the two", func(s *fabricfake.Subnet, i *fabricfake.Instance) {
			s.Interface("f", fabricfake.InterfaceConfig{}).Attach(i)
			s.Route("0.0.0.0/0", i.Interface())
		}, ""},
		{"an instance in the place of another", func(s *fabricfake.Subnet, i *fabricfake.Instance) {
			s.Interface("f", fabricfake.InterfaceConfig{}).Attach(i)
			s.Route("0.0.0.0/0", s.Instance("j", fabricfake.InstanceConfig{}))
			s.RouteTable().ReplaceRoute("0.0.0.0/0", i)
		}, "InvalidInstanceID: i has 2 interfaces attached"},
		{"none", func(s *fabricfake.Subnet, i *fabricfake.Instance) { s.Route("0.0.0.0/0", (*fabricfake.Instance)(nil)) }, "has no target"},
		{"one that is terminated", func(s *fabricfake.Subnet, i *fabricfake.Instance) { i.ForceTerminate(); s.Route("0.0.0.0/0", i) }, "i is not attached"},
		{"one that is stopped", func(s *fabricfake.Subnet, i *fabricfake.Instance) { i.ForceStop(); s.Route("0.0.0.0/0", i) }, ""},
		{"one of another VPC", func(s *fabricfake.Subnet, i *fabricfake.Instance) {
			fabricfake.NewVPC(s.World(), "other", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a").Route("0.0.0.0/0", i)
		}, "belong to different networks"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
			row.do(s, s.Instance("i", fabricfake.InstanceConfig{}))
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%s: fails with %q, want %q", row.name, failure, row.want)
		}
	}
}

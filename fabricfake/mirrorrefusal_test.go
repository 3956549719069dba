package fabricfake_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// What groups or ACLs refuse at the source is not mirrored, and neither is the resolver
// unless the filter says so. The target's group must let the copies in.
func TestMirrorRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*pair, *monitor)
		want   int
	}{
		// fact: mirror.group
		{"let through", func(*pair, *monitor) {}, 2},
		{"refused by the source's group", func(p *pair, _ *monitor) { p.group.RevokeIngress("icmp", fabricfake.Anywhere) }, 0},
		{"refused by the source's ACL", func(p *pair, _ *monitor) { p.b.UseACL(p.vpc.NetworkACL("none")) }, 0},
		{"the source's group lets nothing out", func(p *pair, _ *monitor) { p.group.RestrictEgress() }, 2},
		// fact: mirror.group
		{"refused by the target's group", func(_ *pair, m *monitor) {
			m.Interface().Groups()[0].RevokeIngress("udp/4789", fabricfake.Anywhere)
		}, 0},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			m := newMonitor(t, p.a, "monitor")
			p.two.Interface().Mirror("session", fabricfake.MirrorConfig{Target: m.Interface(), Filter: fabricfake.MirrorFilter{Egress: everything, Ingress: everything}})
			row.change(p, m)
			p.one.Ping(t.Context(), p.two.Addr())
			if got := len(m.copies(t)); got != row.want {
				t.Errorf("%s: %d copies, want %d", row.name, got, row.want)
			}
		})
	}
}

func TestMirrorErrors(t *testing.T) {
	rules := func(n int) (all []fabricfake.MirrorRule) {
		for i := range n {
			all = append(all, fabricfake.MirrorRule{Number: i + 1})
		}
		return all
	}
	ingress := func(rules ...fabricfake.MirrorRule) fabricfake.MirrorConfig {
		return fabricfake.MirrorConfig{Filter: fabricfake.MirrorFilter{Ingress: rules}}
	}
	for _, row := range []struct {
		name string
		cfg  fabricfake.MirrorConfig
		want string // "": accepted
	}{
		{"", fabricfake.MirrorConfig{}, "the mirror session has no name"},
		// fact: mirror.limit.rules
		{"x", ingress(rules(10)...), ""},
		// fact: mirror.limit.rules
		{"x", ingress(rules(11)...), "TrafficMirrorFilterRuleLimitExceeded"},
		{"x", ingress(fabricfake.MirrorRule{}), "rule number 0"},
		{"x", ingress(fabricfake.MirrorRule{Number: 1}, fabricfake.MirrorRule{Number: 1}), "two rules 1"},
		{"x", ingress(fabricfake.MirrorRule{Number: 1, Source: "moon"}), `"moon" is not a CIDR block`},
		{"x", ingress(fabricfake.MirrorRule{Number: 1, Source: "10.0.0.0/8", Destination: "::/0"}), "no packet goes from 10.0.0.0/8 to ::/0"},
		{"x", ingress(fabricfake.MirrorRule{Number: 1, Action: 2}), "rule 1: MirrorAction is 2"},
		{"x", ingress(fabricfake.MirrorRule{Number: 1, SourcePorts: fabricfake.PortRange{From: 2, To: 1}}), "ends before it begins"},
		{"x", fabricfake.MirrorConfig{Number: 32767}, "session number 32767"},
		{"x", fabricfake.MirrorConfig{Number: 32766}, ""},
		{"x", fabricfake.MirrorConfig{VNI: 1 << 24}, "more than 24 bits"},
		{"x", fabricfake.MirrorConfig{VNI: 1<<24 - 1}, ""},
		{"x", fabricfake.MirrorConfig{PacketLength: -1}, "packet length -1"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.0.0/24", "a")
			row.cfg.Target = s.Instance("target", fabricfake.InstanceConfig{}).Interface()
			s.Instance("source", fabricfake.InstanceConfig{}).Interface().Mirror(row.name, row.cfg)
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%q fails with %q, want %q", row.name, failure, row.want)
		}
	}
	for want, f := range map[string]func(source, target, other, foreign, service *fabricfake.Interface){
		// fact: mirror.limit.sessions, mirror.inuse
		"": func(source, target, other, foreign, service *fabricfake.Interface) {
			for i := range 3 {
				source.Mirror("m", fabricfake.MirrorConfig{Target: target, Number: i + 1})
			}
			other.Mirror("n", fabricfake.MirrorConfig{Target: target})
		},
		"has no target": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{})
		},
		"no interface of vpc": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{Target: foreign})
		},
		"InterfaceInUseByTrafficMirrorTarget: source": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{Target: source})
		},
		// fact: mirror.inuse
		"InterfaceInUseByTrafficMirrorTarget: target": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{Target: target})
			target.Mirror("n", fabricfake.MirrorConfig{Target: other})
		},
		// fact: mirror.inuse
		"InterfaceInUseByTrafficMirrorSession: source": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{Target: target})
			other.Mirror("n", fabricfake.MirrorConfig{Target: source})
		},
		"a service manages": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{Target: service})
		},
		"has a session number 1": func(source, target, other, foreign, service *fabricfake.Interface) {
			source.Mirror("m", fabricfake.MirrorConfig{Target: target})
			source.Mirror("n", fabricfake.MirrorConfig{Target: target})
		},
		// fact: mirror.limit.sessions
		"TrafficMirrorSessionsPerInterfaceLimitExceeded": func(source, target, other, foreign, service *fabricfake.Interface) {
			for i := range 4 {
				source.Mirror("m", fabricfake.MirrorConfig{Target: target, Number: i + 1})
			}
		},
	} {
		failure := fatal(t, func(w *netfake.World) {
			s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.0.0/24", "a")
			instance := func(name string) *fabricfake.Interface {
				return s.Instance(name, fabricfake.InstanceConfig{}).Interface()
			}
			foreign := fabricfake.NewVPC(w, "other", "10.0.0.0/16").Subnet("s", "10.0.0.0/24", "a")
			f(instance("source"), instance("target"), instance("other"),
				foreign.Instance("foreign", fabricfake.InstanceConfig{}).Interface(), s.Appliance("service", &sink{}))
		})
		if (want == "") != (failure == "") || !strings.Contains(failure, want) {
			t.Errorf("fails with %q, want %q", failure, want)
		}
	}
}

// A target has a hundred sources at most, however many sessions each of them has.
// fact: mirror.limit.sources
func TestMirrorSources(t *testing.T) {
	for _, row := range []struct {
		name string
		last func(sources []*fabricfake.Interface, target, other *fabricfake.Interface)
		want string // "": accepted
	}{
		{"one more", func(all []*fabricfake.Interface, target, _ *fabricfake.Interface) {
			all[100].Mirror("m", fabricfake.MirrorConfig{Target: target})
		}, "TrafficMirrorSourcesPerTargetLimitExceeded: target is the target of 100 sources"},
		{"one more to another", func(all []*fabricfake.Interface, _, other *fabricfake.Interface) {
			all[100].Mirror("m", fabricfake.MirrorConfig{Target: other})
		}, ""},
		{"one of them again", func(all []*fabricfake.Interface, target, _ *fabricfake.Interface) {
			all[0].Mirror("n", fabricfake.MirrorConfig{Target: target, Number: 2})
		}, ""},
		{"one in the place of another", func(all []*fabricfake.Interface, target, _ *fabricfake.Interface) {
			all[0].Delete()
			all[100].Mirror("m", fabricfake.MirrorConfig{Target: target})
		}, ""},
	} {
		failure := fatal(t, func(w *netfake.World) {
			s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.0.0/24", "a")
			at := func(name string) *fabricfake.Interface { return s.Interface(name, fabricfake.InterfaceConfig{}) }
			target, other := at("target"), at("other")
			var sources []*fabricfake.Interface
			for n := range 101 {
				sources = append(sources, at(fmt.Sprint("source", n)))
			}
			for _, f := range sources[:100] {
				f.Mirror("m", fabricfake.MirrorConfig{Target: target})
			}
			row.last(sources, target, other)
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%s: fails with %q, want %q", row.name, failure, row.want)
		}
	}
}

// What is no mirrored packet is an error.
func TestParseMirrored(t *testing.T) {
	for _, row := range []struct{ name, hex, want string }{
		{"nothing", "", "short"},
		// fact: vxlan.header
		{"no VNI", "\x00\x00\x00\x00\x00\x00\x00\x00", "version"},
		// fact: vxlan.payload
		{"no Ethernet header", "\x08\x00\x00\x00\x00\x00\x01\x00abc", "short"},
		// fact: vxlan.payload
		{"ARP", "\x08\x00\x00\x00\x00\x00\x01\x00abcdefghijkl\x08\x06", "EtherType 0x0806"},
	} {
		if _, err := fabricfake.ParseMirrored([]byte(row.hex)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %v, want %q", row.name, err, row.want)
		}
	}
}

// A datagram that is read is one that a session could have sent: what is said of it is what
// its bytes say. Any other is refused without a panic.
func FuzzParseMirrored(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x00\x00\x00\x01\x00abcdefghijkl\x08\x00\x45packet"))
	f.Add([]byte("\x08\x00\x00\x00\xff\xff\xff\x00abcdefghijkl\x86\xdd\x60"))
	f.Add([]byte("\x08\x00\x00\x00\x00\x00\x01\x00abcdefghijkl\x08\x06"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m, err := fabricfake.ParseMirrored(datagram)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fabricfake: ") {
				t.Errorf("error %v", err)
			}
			return
		}
		const headers = wire.VXLANHeaderLen + wire.EthernetHeaderLen
		b := make([]byte, headers, headers+len(m.Packet))
		wire.PutVXLAN(b, m.VNI)
		copy(b[wire.VXLANHeaderLen:], datagram[wire.VXLANHeaderLen:headers]) // addresses that nobody looks at, and the type
		again, err := fabricfake.ParseMirrored(append(b, m.Packet...))
		if err != nil || again.VNI != m.VNI || !bytes.Equal(again.Packet, m.Packet) {
			t.Errorf("%+v comes back as %+v, %v", m, again, err)
		}
	})
}

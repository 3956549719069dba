package fabricfake

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// beside is a VPC with a resolver and an instance that may speak with nobody.
type beside struct {
	vpc     *VPC
	subnet  *Subnet
	app     *Instance
	answers *netfake.Host
}

func newBeside(t *testing.T, w *netfake.World, cfg InstanceConfig) *beside {
	t.Helper()
	v := NewVPC(w, "prod", "10.0.0.0/16")
	resolver := w.NewHost("resolver", v.Place())
	v.AttachResolver(resolver)
	v.AddCIDR("100.64.0.0/16").AddIPv6("2001:db8:1::/56") // after the resolver
	for _, at := range v.ResolverAddrs() {
		if _, err := resolver.ListenPacket("udp", netip.AddrPortFrom(at, 53).String()); err != nil {
			t.Fatal(err)
		}
	}
	s := v.Subnet("app", "100.64.1.0/24", "a").AddIPv6("").UseACL(v.NetworkACL("nothing"))
	cfg.Groups, cfg.IPv6AddressCount = Groups{v.SecurityGroup("silent").RestrictEgress()}, 1
	return &beside{v, s, s.Instance("app", cfg), resolver}
}

func udpAt(addr string) netfake.Endpoint {
	return netfake.Endpoint{Proto: netfake.UDP, Addr: netip.MustParseAddrPort(addr)}
}

func tcpAt(addr string) netfake.Endpoint {
	return netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort(addr)}
}

// The services answer over either family, in secondary blocks too, whatever security
// groups, network ACLs and routes say; what is no service beside them does not.
// fact: sg.unfiltered.imds, sg.unfiltered.time, acl.unfiltered.imds, acl.unfiltered.time
// fact: service.dns.ipv6, service.imds, service.time, log.unlogged.services
func TestServicesAreExempt(t *testing.T) {
	for _, row := range []struct {
		to      netfake.Endpoint
		want    netfake.Outcome
		blocked string
	}{
		{udpAt("10.0.0.2:53"), netfake.Answered, ""},
		{udpAt("169.254.169.253:53"), netfake.Answered, ""},
		{udpAt("[fd00:ec2::253]:53"), netfake.Answered, ""},
		{udpAt("169.254.169.123:123"), netfake.Answered, ""},
		{udpAt("[fd00:ec2::123]:123"), netfake.Answered, ""},
		{tcpAt("169.254.169.254:80"), netfake.Answered, ""},
		{tcpAt("169.254.169.254:443"), netfake.Refused, "nobody listens"},
		{tcpAt("[fd00:ec2::254]:80"), netfake.Silence, "HttpProtocolIpv6 is disabled"},

		// Other addresses that no route reaches.
		{tcpAt("169.254.170.2:80"), netfake.Silence, "no service has 169.254.170.2"},
		{udpAt("169.254.1.1:123"), netfake.Silence, "no service has 169.254.1.1"},
		{udpAt("[fd00:ec2::1]:123"), netfake.Silence, "no service has fd00:ec2::1"},

		// The groups bite elsewhere: base plus two of the subnet is no resolver.
		{udpAt("100.64.1.2:53"), netfake.Silence, "no rule"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			b := newBeside(t, w, InstanceConfig{})
			logs := b.vpc.FlowLog("log", FlowLogConfig{})
			r := b.app.Probe(row.to)
			if r.Outcome != row.want {
				t.Errorf("%v: %v, want %v\n%v", row.to, r.Outcome, row.want, r)
			}
			if hop := r.Blocker(); row.blocked != "" && (hop == nil || !strings.Contains(hop.Rule, row.blocked)) {
				t.Errorf("%v: blocked by %+v, want %q", row.to, hop, row.blocked)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if c, err := b.app.DialContext(ctx, row.to.Proto.String(), row.to.Addr.String()); err == nil {
				c.Write([]byte("who"))
			}
			w.Sleep(DefaultFlowWindow)
			logged := slices.ContainsFunc(logs.Records(), func(r FlowRecord) bool { return !r.NoData })
			if want := row.blocked == "no rule"; logged != want {
				t.Errorf("%v: in a flow log %v, want %v", row.to, logged, want)
			}
		})
	}
}

// A VPC without DNS support has no resolver, at any of its addresses, until it has again.
// fact: dns.support
func TestDNSSupport(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{})
		for _, row := range []struct {
			change func() *VPC
			want   netfake.Outcome
		}{{func() *VPC { return b.vpc }, netfake.Answered}, {b.vpc.DisableDNSSupport, netfake.Silence}, {b.vpc.EnableDNSSupport, netfake.Answered}} {
			row.change()
			for _, at := range b.vpc.ResolverAddrs() {
				r := b.app.Probe(netfake.Endpoint{Proto: netfake.UDP, Addr: netip.AddrPortFrom(at, 53)})
				if r.Outcome != row.want {
					t.Errorf("%v: %v, want %v", at, r.Outcome, row.want)
				}
			}
		}
	})
}

// timeRequest is an SNTP client's packet to the Amazon Time Sync Service.
func timeRequest(src netip.Addr) []byte {
	const size = wire.UDPHeaderLen + ntpLen
	b := make([]byte, wire.IPv4HeaderLen+size)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: src, Dst: timeAddress}
	ip.Put(b, size)
	udp := wire.UDP{SrcPort: 40000, DstPort: ntpPort} // without a checksum
	udp.Put(b[wire.IPv4HeaderLen:], ntpLen)
	b[wire.IPv4HeaderLen+wire.UDPHeaderLen] = 4<<3 | ntpClient
	return b
}

// Who forwards the packets of others may send them anywhere but to the services, who know
// an interface by its own addresses; its own come through.
func TestServicesAndForgedSources(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{SourceDestCheck: SourceDestCheckOff})
		for _, row := range []struct {
			src   netip.Addr
			drops int
		}{{b.app.Addr(), 0}, {netip.MustParseAddr("100.64.1.99"), 1}, {netip.MustParseAddr("169.254.169.254"), 1}} {
			before := len(w.Drops())
			conn, err := b.app.ListenPacket("udp", ":40000") // for the answer
			if err != nil {
				t.Fatal(err)
			}
			b.app.Interface().Inject(timeRequest(row.src))
			w.Sleep(time.Second)
			conn.Close()
			if got := len(w.Drops()) - before; got != row.drops {
				t.Errorf("from %v: %d drops, want %d", row.src, got, row.drops)
			}
		}
		if n := len(w.Alarms()); n != 2 {
			t.Errorf("%d alarms, want 2", n)
		}
	})
}

// Instances of equal addresses are two to the services.
func TestServicesTellCallersApart(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		for _, name := range []string{"prod", "test"} {
			i := NewVPC(w, name, "10.0.0.0/16").Subnet("app", "10.0.1.0/24", "a").Instance(name, InstanceConfig{})
			if got := ask(t, i, "/latest/meta-data/instance-id"); got != i.ID() {
				t.Errorf("%s is %q, want %q", name, got, i.ID())
			}
		}
	})
}

// 1,024 packets may go at once; then as many in a second as that.
func TestLinkLocalAllowance(t *testing.T) {
	const each = time.Second / LinkLocalAllowance // rounded down
	for _, row := range []struct {
		rule  string
		after time.Duration // the first burst
		n     int           // packets, one by one
		want  int           // that pass
	}{
		{"nothing more at once", 0, 1, 0},
		{"nothing quite in time", each, 1, 0},
		{"one in time", each + 1, 2, 1},
		{"half of them", time.Second / 2, 1024, 512},
		{"all after a second", time.Second, 2000, 1024},
		{"no more than that after a day", 24 * time.Hour, 2000, 1024},
	} {
		var a allowance
		if !a.admit(time.Hour, LinkLocalAllowance) {
			t.Fatal("the first burst does not pass")
		}
		passed := 0
		for range row.n {
			if a.admit(time.Hour+row.after, 1) {
				passed++
			}
		}
		if passed != row.want || a.exceeded != uint64(row.n-row.want) {
			t.Errorf("%s: %d pass and %d exceed, want %d and %d", row.rule, passed, a.exceeded, row.want, row.n-row.want)
		}
	}
}

// All services share the allowance of an interface, and nobody else's.
// fact: service.limit
func TestLinkLocalAllowanceIsShared(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{})
		other := b.subnet.Instance("other", InstanceConfig{Groups: b.app.Interface().Groups()})
		conn, err := b.app.Dial("udp", "169.254.169.123:9")
		if err != nil {
			t.Fatal(err)
		}
		for range LinkLocalAllowance {
			conn.Write(nil)
		}
		questions := w.Record(func(f netfake.Flow) bool { return f.Dst.Port() == 53 })
		for _, i := range []*Instance{b.app, other} {
			u, err := i.Dial("udp", "10.0.0.2:53")
			if err != nil {
				t.Fatal(err)
			}
			u.Write([]byte("who"))
		}
		w.Sleep(time.Second)
		if a, o := b.app.Interface().LinkLocalAllowanceExceeded(), other.Interface().LinkLocalAllowanceExceeded(); a != 1 || o != 0 {
			t.Errorf("%d and %d packets exceed, want 1 and 0", a, o)
		}
		if n := len(questions.Traces()); n != 2 {
			t.Errorf("%d questions, want one of each", n)
		}
		for _, trace := range questions.Traces() {
			stop := trace.Blocker()
			if exceeds := stop != nil && stop.Code == "LINKLOCAL_ALLOWANCE_EXCEEDED"; exceeds != (trace.From == b.app.Name()) {
				t.Errorf("the question of %s is stopped by %v", trace.From, stop)
			}
		}
	})
}

// A probe leaves nothing behind at the services.
func TestServicesForgetProbes(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		b := newBeside(t, w, InstanceConfig{})
		local := b.vpc.region.local
		b.app.Probe(tcpAt("169.254.169.254:80"))
		if len(local.aliases.given)+len(local.aliases.callers) != 0 || b.app.iface.local != (allowance{}) {
			t.Errorf("%d aliases, and %+v", len(local.aliases.given), b.app.iface.local)
		}
		ask(t, b.app, "/latest/meta-data/")
		if len(local.aliases.given) != 1 || b.app.iface.local == (allowance{}) {
			t.Errorf("%d aliases, and %+v", len(local.aliases.given), b.app.iface.local)
		}
	})
}

package lbfake

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

var _ dnsfake.AliasTarget = (*ApplicationLoadBalancer)(nil)
var _ netfake.Component = (*ApplicationLoadBalancer)(nil)

// What the API refuses fails the test with its code.
func TestRefusals(t *testing.T) {
	make := func(s *site, change func(*ApplicationConfig)) *ApplicationLoadBalancer {
		cfg := ApplicationConfig{Subnets: s.subnets}
		change(&cfg)
		return NewApplication(s.vpc, "web", cfg)
	}
	same := func(*ApplicationConfig) {}
	for _, row := range []struct {
		want string
		f    func(s *site)
	}{
		{"", func(s *site) { make(s, same).Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}}) }},
		{"lbfake: InvalidConfigurationRequest: load balancer \"web\": At least two subnets", func(s *site) {
			make(s, func(c *ApplicationConfig) { c.Subnets = c.Subnets[:1] })
		}},
		{"lbfake: InvalidConfigurationRequest: load balancer \"web\": At least two subnets", func(s *site) {
			make(s, func(c *ApplicationConfig) { c.Subnets = nil })
		}},
		{"lbfake: InvalidConfigurationRequest: load balancer \"web\": A load balancer cannot be attached to multiple subnets", func(s *site) {
			more := s.vpc.Subnet("more", "10.0.7.0/24", "a")
			make(s, func(c *ApplicationConfig) { c.Subnets = append(c.Subnets, more) })
		}},
		{"lbfake: InvalidConfigurationRequest: load balancer \"web\": subnet tiny", func(s *site) {
			tiny := s.vpc.Subnet("tiny", "10.0.7.0/28", "c")
			make(s, func(c *ApplicationConfig) { c.Subnets = append(c.Subnets, tiny) })
		}},
		{"lbfake: InvalidConfigurationRequest: load balancer \"web\": theirs is no subnet of vpc", func(s *site) {
			theirs := fabricfake.NewVPC(s.w, "other", "10.9.0.0/16").Subnet("theirs", "10.9.0.0/24", "c")
			make(s, func(c *ApplicationConfig) { c.Subnets = append(c.Subnets, theirs) })
		}},
		{"lbfake: InvalidSubnet: load balancer \"web\": VPC closed has no internet gateway", func(s *site) {
			closed := fabricfake.NewVPC(s.w, "closed", "10.9.0.0/16")
			subnets := []*fabricfake.Subnet{closed.Subnet("x", "10.9.0.0/24", "a"), closed.Subnet("y", "10.9.1.0/24", "b")}
			NewApplication(closed, "inside", ApplicationConfig{Subnets: subnets, Scheme: Internal}) // may be
			NewApplication(closed, "web", ApplicationConfig{Subnets: subnets})
		}},
		{"lbfake: DuplicateLoadBalancerName", func(s *site) { make(s, same); make(s, same) }},
		{"lbfake: ValidationError: load balancer", func(s *site) { NewApplication(s.vpc, "web-", ApplicationConfig{Subnets: s.subnets}) }},
		{"lbfake: ValidationError: load balancer", func(s *site) { NewApplication(s.vpc, "internal-web", ApplicationConfig{Subnets: s.subnets}) }},
		{"lbfake: InvalidConfigurationRequest: idle_timeout", func(s *site) {
			make(s, func(c *ApplicationConfig) { c.Attributes.IdleTimeout = 5000 * time.Second })
		}},
		{"lbfake: InvalidConfigurationRequest: client_keep_alive", func(s *site) {
			make(s, func(c *ApplicationConfig) { c.Attributes.ClientKeepAlive = time.Second })
		}},
		{"lbfake: DuplicateListener", func(s *site) {
			b := make(s, same)
			b.Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}})
			b.Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}})
		}},
		{"lbfake: InvalidLoadBalancerAction: an action is needed", func(s *site) { make(s, same).Listener(80, HTTP, ListenerConfig{}) }},
		{"lbfake: TargetGroupNotFound", func(s *site) { make(s, same).Listener(80, HTTP, ListenerConfig{Default: Forward(nil)}) }},
		{"lbfake: CertificateNotFound", func(s *site) { make(s, same).Listener(443, HTTPS, ListenerConfig{Default: FixedResponse{}}) }},
		{"lbfake: TargetGroupAssociationLimit", func(s *site) {
			g := s.group(TargetGroupConfig{})
			make(s, same).Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
			NewApplication(s.vpc, "other", ApplicationConfig{Subnets: s.subnets}).Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
		}},
		{"lbfake: DuplicateTargetGroupName", func(s *site) { s.group(TargetGroupConfig{}); s.group(TargetGroupConfig{}) }},
		{"lbfake: ValidationError: deregistration_delay", func(s *site) { s.group(TargetGroupConfig{DeregistrationDelay: 2 * time.Hour}) }},
		{"lbfake: ValidationError: health check interval", func(s *site) { s.group(TargetGroupConfig{HealthCheck: HealthCheck{Interval: time.Hour}}) }},
		{"lbfake: InvalidTarget: app 10.0.0.4:80 is not registered", func(s *site) { s.group(TargetGroupConfig{}).Deregister(s.instance("app", "a")) }},
		{"lbfake: InvalidTarget: there is no instance", func(s *site) { s.group(TargetGroupConfig{}).Register(nil) }},
		{"lbfake: InvalidTarget: there is no instance", func(s *site) { s.group(TargetGroupConfig{}).Deregister(nil) }},
		{"lbfake: InvalidTarget: there is no instance", func(s *site) { s.group(TargetGroupConfig{}).HealthOf(nil) }},
		{"lbfake: InvalidTarget: stranger is in vpc other", func(s *site) {
			theirs := fabricfake.NewVPC(s.w, "other", "10.9.0.0/16").Subnet("theirs", "10.9.0.0/24", "c")
			s.group(TargetGroupConfig{}).Register(theirs.Instance("stranger", fabricfake.InstanceConfig{}))
		}},
		{"lbfake: PriorityInUse: Priority '5' is currently in use", func(s *site) {
			l := make(s, same).Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}})
			l.Rule(5, FixedResponse{}, PathPattern("/a"))
			l.Rule(5, FixedResponse{}, PathPattern("/b"))
		}},
		{"lbfake: ValidationError: priority 0", func(s *site) {
			make(s, same).Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}}).Rule(0, FixedResponse{}, PathPattern("/a"))
		}},
		{"lbfake: ValidationError: A condition must be specified", func(s *site) {
			make(s, same).Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}}).Rule(1, FixedResponse{})
		}},
		{"lbfake: ValidationError: the rule's conditions have 6 values", func(s *site) {
			make(s, same).Listener(80, HTTP, ListenerConfig{Default: FixedResponse{}}).
				Rule(1, FixedResponse{}, PathPattern("/a", "/b", "/c"), HostHeader("a.com", "b.com", "c.com"))
		}},
	} {
		wantFatal(t, row.want, row.f)
	}
}

// Who can reach what: clients the balancer, the balancer the targets, and nobody else
// them.
func TestSecurityGroups(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		front := s.vpc.SecurityGroup("front").AllowIngress("tcp/80", fabricfake.Anywhere)
		back := s.vpc.SecurityGroup("back").AllowIngress("tcp/8080", front)
		app := s.subnets[0].Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{back}})
		app.ServeHTTP(":8080", nameHandler("app"))
		g := s.group(TargetGroupConfig{Port: 8080}).Register(app)
		b := NewApplication(s.vpc, "web", ApplicationConfig{Subnets: s.subnets, Groups: fabricfake.Groups{front}})
		b.Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
		if err := g.WaitInService(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantGet(t, s.client.HTTPClient(), url(b, "/"), 200, "app")
		if app.LastPeer() != b.Node("a").Addr() {
			t.Errorf("the target was called by %v, want the node, %v", app.LastPeer(), b.Node("a").Addr())
		}
		outsider := s.instance("outsider", "a")
		if r := outsider.Probe(app.TCP(8080)); r.Outcome != netfake.Silence {
			t.Errorf("an instance without the group gets through to the target: %v", r.Outcome)
		}
		if r := b.Node("b").Probe(app.TCP(8080)); r.Outcome != netfake.Answered {
			t.Errorf("the node of zone b does not get through: %v", r.Forward)
		}
		// The group of the balancer guards it too.
		front.RevokeIngress("tcp/80", fabricfake.Anywhere)
		if r := s.client.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(b.nodes[0].addr, 80)}); r.Outcome != netfake.Silence {
			t.Errorf("the balancer's group lets a client through: %v", r.Outcome)
		}
	})
}

// An internal load balancer has private addresses and a name that says so.
func TestInternal(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		b := NewApplication(s.vpc, "Api", ApplicationConfig{Scheme: Internal, Subnets: s.subnets, Groups: s.open})
		b.Listener(80, HTTP, ListenerConfig{Default: FixedResponse{Status: 200, Body: "hello"}})
		if name := b.DNSName(); !strings.HasPrefix(name, "internal-api-") || !strings.HasSuffix(name, ".ap-southeast-2.elb.amazonaws.com") {
			t.Errorf("its name is %s", name)
		}
		addrs, ttl := b.Addrs()
		if len(addrs) != 2 || addrs[0].String() != "10.0.0.4" || ttl != time.Minute {
			t.Errorf("its addresses are %v for %v", addrs, ttl)
		}
		wantGet(t, s.instance("neighbour", "b").HTTPClient(), url(b, "/"), 200, "hello")
	})
}

// The name has the addresses of all zones, then only of those whose node sees a healthy
// target, and of all again when none does.
func TestZonesInDNS(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := newSite(w)
		sys := dnsfake.New(w)
		acl := s.vpc.NetworkACL("closable").AllowIngress(1, "all", "0.0.0.0/0").AllowEgress(1, "all", "0.0.0.0/0")
		s.subnets[1].UseACL(acl)
		app := s.server("app", "a")
		g := s.group(TargetGroupConfig{}).Register(app)
		b := NewApplication(s.vpc, "web", ApplicationConfig{Subnets: s.subnets, Groups: s.open, DNS: sys})
		b.Listener(80, HTTP, ListenerConfig{Default: Forward(g)})
		zone := sys.HostedZone("example.com")
		sys.Register("example.com", zone)
		zone.Record(dnsfake.Record{Name: "www.example.com", Alias: &dnsfake.Alias{Target: b, EvaluateTargetHealth: true}})
		resolver := sys.Resolver(netfake.Sydney, "isp", "203.0.113.53").Addr()
		s.client.SetResolvers(resolver)
		wantZones := func(when string, healthy bool, zones ...int) {
			t.Helper()
			addrs, _ := b.Addrs()
			var want []string
			for _, i := range zones {
				want = append(want, b.nodes[i].addr.String())
			}
			var got []string
			for _, a := range addrs {
				got = append(got, a.String())
			}
			if strings.Join(got, " ") != strings.Join(want, " ") || b.Healthy() != healthy {
				t.Errorf("%s: %v, healthy %v, want %v, %v", when, got, b.Healthy(), want, healthy)
			}
			for _, name := range []string{b.DNSName(), "www.example.com"} {
				reply, err := dnsfake.Dig(t.Context(), s.client, resolver, name, dnsfake.A)
				if err != nil || len(reply.Answer) != len(zones) {
					t.Errorf("%s: %s has %v, %v, want %d addresses", when, name, reply, err, len(zones))
				}
			}
		}
		wantZones("at first", false, 0, 1)
		if err := g.WaitInService(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantZones("in service", true, 0, 1)
		wantGet(t, s.client.HTTPClient(), "http://www.example.com/", 200, "app")
		acl.RemoveEgress(1) // what zone b's node sends is lost
		w.Sleep(65 * time.Second)
		wantZones("zone b cut off", true, 0)
		app.Crash()
		w.Sleep(65 * time.Second)
		wantZones("target dead", false, 0, 1)
	})
}

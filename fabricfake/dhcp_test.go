package fabricfake

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// Instances ask the servers of the set that their VPC had when they were launched.
func TestDHCPNameServers(t *testing.T) {
	for _, row := range []struct {
		rule    string
		servers []string
		want    []string // who is asked, one after the other
	}{
		{"the VPC's by default", nil, []string{"10.0.0.2"}},
		{"the VPC's", []string{AmazonProvidedDNS}, []string{"10.0.0.2"}},
		{"others", []string{"10.0.9.53", "10.0.9.54"}, []string{"10.0.9.53", "10.0.9.54"}},
		{"both", []string{"10.0.9.53", AmazonProvidedDNS}, []string{"10.0.9.53", "10.0.0.2"}},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := NewVPC(w, "prod", "10.0.0.0/16")
			v.AttachResolver(w.NewHost("resolver", v.Place()))
			s := v.Subnet("app", "10.0.1.0/24", "a")
			v.SetDHCPOptions(DHCPOptions{DomainNameServers: row.servers})
			i := s.Instance("app", InstanceConfig{})
			v.SetDHCPOptions(DHCPOptions{DomainNameServers: []string{"10.0.9.99"}}) // too late
			if got := strings.Join(questioned(t, w, i), " "); got != strings.Join(row.want, " ") {
				t.Errorf("%s: asks %s, want %v", row.rule, got, row.want)
			}
		})
	}
}

// questioned returns whom an instance asks for a name, in turn.
func questioned(t *testing.T, w *netfake.World, i *Instance) (servers []string) {
	rec := w.Record(func(f netfake.Flow) bool { return f.Dst.Port() == 53 })
	defer rec.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := i.LookupHost(ctx, "www.example.com."); err == nil {
		t.Error("the name is found")
	}
	seen := map[netip.Addr]bool{}
	for _, trace := range rec.Traces() {
		if to := trace.Flow.Dst.Addr(); !seen[to] {
			seen[to] = true
			servers = append(servers, to.String())
		}
	}
	return servers
}

// A set has four servers of a kind at most, which are addresses.
func TestDHCPOptionsRefused(t *testing.T) {
	five := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}
	for _, row := range []struct {
		options DHCPOptions
		want    string
	}{
		{DHCPOptions{DomainNameServers: five}, "5 domain-name-servers"},
		{DHCPOptions{DomainNameServers: five[:4]}, ""},
		{DHCPOptions{DomainNameServers: []string{"dns.example.com"}}, `"dns.example.com"`},
		{DHCPOptions{NTPServers: five}, "5 ntp-servers"},
		{DHCPOptions{NTPServers: append(five[:3:3], "2001:db8::1")}, ""},
		{DHCPOptions{NTPServers: []string{AmazonProvidedDNS}}, "no IP address"},
		{DHCPOptions{DomainName: "corp.example lab.example"}, ""},
		{DHCPOptions{DomainName: "corp..example"}, `"corp..example" is no domain`},
	} {
		got := faketb.Fatal(t, func(tb *faketb.TB) {
			NewVPC(netfake.New(tb, netfake.Config{Instant: true}), "prod", "10.0.0.0/16").SetDHCPOptions(row.options)
		})
		if row.want == "" && got != "" || !strings.Contains(got, row.want) || row.want != "" && !strings.Contains(got, codeParameterValue) {
			t.Errorf("%+v: %q, want %q", row.options, got, row.want)
		}
	}
}

// What is told is copied, both ways.
func TestDHCPOptionsAreImmutable(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := NewVPC(w, "prod", "10.0.0.0/16")
		servers := []string{"169.254.169.123"}
		v.SetDHCPOptions(DHCPOptions{NTPServers: servers})
		servers[0] = "10.0.0.1"
		i := v.Subnet("app", "10.0.1.0/24", "a").Instance("app", InstanceConfig{})
		i.DHCPOptions().NTPServers[0] = "10.0.0.2"
		if got := i.DHCPOptions().NTPServers; len(got) != 1 || got[0] != "169.254.169.123" {
			t.Errorf("%v", got)
		}
	})
}

// Host names, by https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
// fact: dns.names, dns.hostnames
func TestHostnames(t *testing.T) {
	for _, row := range []struct{ region, domain, private, public, host string }{
		{"us-east-1", "", "ip-10-0-1-5.ec2.internal", "ec2-203-0-113-25.compute-1.amazonaws.com", "ip-10-0-1-5.ec2.internal"},
		{"eu-west-1", "", "ip-10-0-1-5.eu-west-1.compute.internal", "ec2-203-0-113-25.eu-west-1.compute.amazonaws.com", "ip-10-0-1-5.eu-west-1.compute.internal"},

		// A domain of one's own is that of the machine, and not of the resolver's names.
		{"eu-west-1", "corp.example", "ip-10-0-1-5.eu-west-1.compute.internal", "ec2-203-0-113-25.eu-west-1.compute.amazonaws.com", "ip-10-0-1-5.corp.example"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := NewRegion(w, row.region, netfake.Sydney).VPC("prod", "10.0.0.0/16").SetDHCPOptions(DHCPOptions{DomainName: row.domain})
			i := v.Subnet("app", "10.0.1.0/24", "a").Instance("app", InstanceConfig{PrivateIP: "10.0.1.5"})
			f := i.Interface()
			f.SetPublicIP(netip.MustParseAddr("203.0.113.25"))
			if f.PublicDNSName() != "" {
				t.Errorf("%s: the name %s without enableDnsHostnames", row.region, f.PublicDNSName())
			}
			v.EnableDNSHostnames()
			if f.PrivateDNSName() != row.private || f.PublicDNSName() != row.public {
				t.Errorf("%s: %s and %s", row.region, f.PrivateDNSName(), f.PublicDNSName())
			}
			if got := ask(t, i, "/latest/meta-data/hostname"); got != row.host {
				t.Errorf("%s: the machine is %s, want %s", row.region, got, row.host)
			}
		})
	}
}

// A private name lives as long as its instance, a public one as long as the instance has the
// public address.
func TestHostnamesInALife(t *testing.T) {
	const (
		private   = "ip-10-0-1-5.ap-southeast-2.compute.internal"
		secondary = "ip-10-0-1-6.ap-southeast-2.compute.internal"
		elastic   = "ec2-203-0-113-25.ap-southeast-2.compute.amazonaws.com"
	)
	nobody, first, second := netip.Addr{}, netip.MustParseAddr("10.0.1.5"), netip.MustParseAddr("10.0.1.6")
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := NewVPC(w, "prod", "10.0.0.0/16").EnableDNSHostnames()
		s := v.Subnet("app", "10.0.1.0/24", "a").AutoAssignPublicIP(AutoAssignOn)
		i := s.Instance("app", InstanceConfig{PrivateIP: "10.0.1.5", SecondaryIPs: []string{"10.0.1.6"}, BootTime: time.Minute})
		i.Interface().SetPublicIPOf(second, netip.MustParseAddr("203.0.113.25"))
		assigned := i.Interface().PublicDNSName()
		for _, row := range []struct {
			rule                                  string
			change                                func()
			private, assigned, secondary, elastic netip.Addr // of the names, zero for none
		}{
			// fact: dns.names.pending
			{"is pending", func() { w.Sleep(time.Minute - 1) }, nobody, nobody, nobody, nobody},
			// fact: dns.names.pending
			{"runs", func() { w.Sleep(1) }, first, first, second, second},
			{"stops", i.Stop, first, first, second, second},
			// fact: dns.names.life, dns.names.public.life
			{"is stopped", func() { i.Await(Stopped) }, first, nobody, second, second},
			{"is pending again", func() { i.Start(); assigned = i.Interface().PublicDNSName() }, first, nobody, second, nobody},
			{"runs again", func() { i.Await(Running) }, first, first, second, second},
			{"is stopped again", i.ForceStop, first, nobody, second, second},
			{"has lost its elastic IP", func() { i.Interface().SetPublicIPOf(second, nobody) }, first, nobody, second, nobody},
			// fact: dns.names.life
			{"is terminated", i.Terminate, nobody, nobody, nobody, nobody},
		} {
			row.change()
			for name, want := range map[string]netip.Addr{private: row.private, assigned: row.assigned, secondary: row.secondary, elastic + ".": row.elastic} {
				if got, ok := v.LookupHostname(name); got != want || ok != want.IsValid() {
					t.Errorf("%s: %s is %v, %v; want %v", row.rule, name, got, ok, want)
				}
			}
		}
	})
}

// An interface that was made by itself has a name of its own, whatever instance it comes to.
func TestHostnameOfAnInterface(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := NewVPC(w, "prod", "10.0.0.0/16").Subnet("app", "10.0.1.0/24", "a")
		f := s.Interface("eni", InterfaceConfig{PrivateIP: "10.0.1.5"})
		resolves := func(when string) {
			if got, ok := s.vpc.LookupHostname(f.PrivateDNSName()); !ok || got != f.PrivateIP() {
				t.Errorf("%s: %v, %v", when, got, ok)
			}
		}
		resolves("of nobody")
		i := s.Instance("app", InstanceConfig{Interface: f, BootTime: time.Minute})
		resolves("of an instance that is pending")
		i.Await(Running)
		resolves("of one that runs")
		i.ForceTerminate()
		resolves("of one that is terminated")
	})
}

// What looks like a host name and is none.
func TestNoHostname(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8::/56").EnableDNSHostnames()
		s := v.Subnet("app", "10.0.1.0/24", "a").AddIPv6("2001:db8::/64")
		i := s.Instance("app", InstanceConfig{PrivateIP: "10.0.1.5", IPv6Addresses: []string{"2001:db8::5"}})
		i.Interface().SetPublicIP(netip.MustParseAddr("203.0.113.25"))
		stranger := NewVPC(w, "other", "10.0.0.0/16").Subnet("app", "10.0.1.0/24", "a").Instance("stranger", InstanceConfig{PrivateIP: "10.0.1.9"})
		stranger.ForceStop()
		const domain, public = ".ap-southeast-2.compute.internal", ".ap-southeast-2.compute.amazonaws.com"
		for name, want := range map[string]bool{
			"ip-10-0-1-5" + domain:        true,
			"IP-10-0-1-5" + domain + ".":  true,
			"ip-10-0-1-6" + domain:        false,
			"ip-10-0-1-9" + domain:        false, // another VPC's
			"ip-10-0-1-05" + domain:       false,
			"ip-2001:db8::5" + domain:     false,
			"ip-10-0-1" + domain:          false,
			"ip" + domain:                 false,
			"ip-10-0-1-5" + public:        false,
			"ec2-203-0-113-25" + public:   true,
			"ec2-203-0-113-26" + public:   false,
			"ec2-10-0-1-5" + public:       false,
			"ec2-203-0-113-25" + domain:   false,
			"ip-203-0-113-25" + domain:    false,
			"ip-10-0-1-5.ec2.internal":    false,
			"":                            false,
			".":                           false,
			"ip-169-254-169-254" + domain: false,
		} {
			if _, ok := v.LookupHostname(name); ok != want {
				t.Errorf("%q is found: %v", name, ok)
			}
		}
		v.DisableDNSSupport()
		if addr, ok := v.LookupHostname("ec2-203-0-113-25" + public); ok {
			t.Errorf("without enableDnsSupport the public name is of %v", addr)
		}
	})
}

package fabricfake

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// AmazonProvidedDNS stands for the VPC's own resolver among name servers.
const AmazonProvidedDNS = "AmazonProvidedDNS"

// maxDHCPServers is how many servers of a kind a set names. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSetConcepts.html
const maxDHCPServers = 4

// DHCPOptions are what instances are told when they are launched. The zero value is the
// default set: the VPC's resolver, and the region's domain.
type DHCPOptions struct {
	// DomainNameServers are whom instances ask for names: addresses, or
	// AmazonProvidedDNS. If there is none, AmazonProvidedDNS.
	DomainNameServers []string

	// DomainName is the domain of the instances' host names, in which they look for names
	// that are not complete: see netfake.SearchList. If "", the region's:
	// "ap-southeast-2.compute.internal". Several, with spaces between them, are several to
	// look in, as with Linux.
	DomainName string

	// NTPServers are whom instances ask for the time. No machine here sets its clock:
	// they are for the applications that read them.
	NTPServers []string
}

// SetDHCPOptions associates a set with the VPC. Instances that are launched afterwards get
// it; those that are there keep theirs. More than four servers of a kind, and what is no
// address, fail the test with InvalidParameterValue.
func (v *VPC) SetDHCPOptions(o DHCPOptions) *VPC {
	v.tb().Helper()
	v.mustExist()
	if err := o.check(); err != nil {
		v.tb().Fatalf("%v (vpc %s)", err, v.name)
	}
	o.DomainNameServers, o.NTPServers = slices.Clone(o.DomainNameServers), slices.Clone(o.NTPServers)
	v.dhcp = o
	return v
}

func (o *DHCPOptions) check() error {
	for _, kind := range []struct {
		name    string
		servers []string
	}{{"domain-name-servers", o.DomainNameServers}, {"ntp-servers", o.NTPServers}} {
		if n := len(kind.servers); n > maxDHCPServers {
			return refuse(codeParameterValue, "%d %s, and %d are allowed", n, kind.name, maxDHCPServers)
		}
		for _, s := range kind.servers {
			if s == AmazonProvidedDNS && kind.name == "domain-name-servers" {
				continue
			}
			if _, err := netip.ParseAddr(s); err != nil {
				return refuse(codeParameterValue, "%q of %s is no IP address", s, kind.name)
			}
		}
	}
	if err := searchIn(o.DomainName).Check(); err != nil {
		return refuse(codeParameterValue, "domain-name: %v", err)
	}
	return nil
}

// DHCPOptions returns what the instance was told when it was launched.
func (i *Instance) DHCPOptions() DHCPOptions {
	o := i.dhcp
	o.DomainNameServers, o.NTPServers = slices.Clone(o.DomainNameServers), slices.Clone(o.NTPServers)
	return o
}

// searchIn returns how Linux completes names that is told a domain name.
func searchIn(domains string) netfake.SearchList {
	return netfake.SearchList{Domains: strings.Fields(domains)}
}

// configure does what the machine's DHCP client does: it sets the name servers, and where
// to look for names.
func (i *Instance) configure() {
	v := i.iface.vpc
	i.SetSearchList(searchIn(cmp.Or(i.dhcp.DomainName, v.region.privateDomain())))
	servers := i.dhcp.DomainNameServers
	if len(servers) == 0 {
		servers = []string{AmazonProvidedDNS}
	}
	var resolvers []netip.Addr
	for _, s := range servers {
		addr := v.resolver.addr
		if s != AmazonProvidedDNS {
			addr = netip.MustParseAddr(s)
		}
		if addr.IsValid() {
			resolvers = append(resolvers, addr)
		}
	}
	if len(resolvers) > 0 {
		i.SetResolvers(resolvers...)
	}
}

// dnsAttributes are those of a VPC. The zero value is the real service's default.
type dnsAttributes struct{ supportOff, hostnames bool }

// DisableDNSSupport has the VPC's resolver answer no more, as enableDnsSupport=false does.
func (v *VPC) DisableDNSSupport() *VPC {
	v.tb().Helper()
	return v.setDNS(func(a *dnsAttributes) { a.supportOff = true })
}

// EnableDNSSupport takes back DisableDNSSupport: a VPC begins with it.
func (v *VPC) EnableDNSSupport() *VPC {
	v.tb().Helper()
	return v.setDNS(func(a *dnsAttributes) { a.supportOff = false })
}

// EnableDNSHostnames gives instances with a public address a public host name, as
// enableDnsHostnames=true does. A VPC begins without, the default VPC with it.
func (v *VPC) EnableDNSHostnames() *VPC {
	v.tb().Helper()
	return v.setDNS(func(a *dnsAttributes) { a.hostnames = true })
}

// DisableDNSHostnames takes back EnableDNSHostnames.
func (v *VPC) DisableDNSHostnames() *VPC {
	v.tb().Helper()
	return v.setDNS(func(a *dnsAttributes) { a.hostnames = false })
}

func (v *VPC) setDNS(f func(*dnsAttributes)) *VPC {
	v.tb().Helper()
	v.mustExist()
	v.world.Do(func(time.Duration) { f(&v.dns) })
	return v
}

// The names of the first region are of another form. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
const firstRegion = "us-east-1"

// privateDomain is the domain of the private host names in the region.
func (r *Region) privateDomain() string {
	if r.name == firstRegion {
		return "ec2.internal"
	}
	return r.name + ".compute.internal"
}

// publicDomain is the domain of the public host names.
func (r *Region) publicDomain() string {
	if r.name == firstRegion {
		return "compute-1.amazonaws.com"
	}
	return r.name + ".compute.amazonaws.com"
}

// hostLabel is the first label of an address's host name: "ip-10-0-0-5".
func hostLabel(kind string, addr netip.Addr) string {
	return kind + "-" + strings.ReplaceAll(addr.String(), ".", "-")
}

// PrivateDNSName returns the name that the VPC's resolver has for the interface's primary
// address: "ip-10-0-0-5.ap-southeast-2.compute.internal", in us-east-1
// "ip-10-0-0-5.ec2.internal".
func (f *Interface) PrivateDNSName() string {
	return hostLabel("ip", f.addr) + "." + f.vpc.region.privateDomain()
}

// PublicDNSName returns the name of the interface's public address, "" if it has none or
// the VPC gives no names to them: "ec2-203-0-113-25.ap-southeast-2.compute.amazonaws.com".
func (f *Interface) PublicDNSName() (name string) {
	f.vpc.world.Do(func(time.Duration) { name = f.publicDNSName() })
	return name
}

func (f *Interface) publicDNSName() string {
	if !f.Public().IsValid() || !f.vpc.dns.hostnames || f.vpc.dns.supportOff {
		return ""
	}
	return hostLabel("ec2", f.Public()) + "." + f.vpc.region.publicDomain()
}

// hostname is what an instance calls itself: in the domain that DHCP told it.
func (i *Instance) hostname() string {
	if i.dhcp.DomainName != "" {
		return hostLabel("ip", i.iface.addr) + "." + i.dhcp.DomainName
	}
	return i.iface.PrivateDNSName()
}

// LookupHostname returns the private address that a host name of the VPC's instances has
// inside of the VPC, with or without a dot at its end: private names, and public ones too,
// which have the public address only outside. A private name lives from when its instance is
// running for the first time, through stops, until that is terminated; a public one as long as an
// interface has the address, but for when its instance is pending: that of an assigned address
// ends with the stop. Interfaces that were made by themselves have theirs from the beginning. It
// is for the VPC's resolver, and may not be called inside the scheduler. Sources:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-naming.html and
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
func (v *VPC) LookupHostname(name string) (addr netip.Addr, ok bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	v.world.Do(func(time.Duration) { addr, ok = v.lookupHostname(name) })
	return addr, ok
}

func (v *VPC) lookupHostname(name string) (netip.Addr, bool) {
	label, domain, _ := strings.Cut(name, ".")
	kind, dashed, _ := strings.Cut(label, "-")
	addr, err := netip.ParseAddr(strings.ReplaceAll(dashed, "-", "."))
	if err != nil || !addr.Is4() {
		return netip.Addr{}, false
	}
	switch {
	case kind == "ip" && domain == v.region.privateDomain() && v.named(addr):
		return addr, true
	case kind == "ec2" && domain == v.region.publicDomain() && v.dns.hostnames && !v.dns.supportOff:
		f, private := v.PublicOwner(addr)
		if f == nil || f.instance != nil && f.instance.state == Pending {
			return netip.Addr{}, false
		}
		return private, true
	}
	return netip.Addr{}, false
}

// named reports whether an address has a name: that of an interface of the VPC, also one that is
// on no physical host, which the mapping service knows nothing of.
func (v *VPC) named(addr netip.Addr) bool {
	f := v.region.mapping.find(v.vni, addr)
	if f == nil {
		f = v.holder(addr)
	}
	return f != nil && (f.instance == nil || f.instance.hasRun || f.instance.cfg.Interface != nil)
}

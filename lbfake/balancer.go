package lbfake

import (
	"fmt"
	"io"
	"log"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// DNSTTL is how long resolvers keep a load balancer's addresses. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html
const DNSTTL = 60 * time.Second

// minZones is how many zones an application load balancer needs.
const minZones = 2

// ApplicationConfig shapes an application load balancer.
type ApplicationConfig struct {
	// Scheme is from where it is reached. Zero is from the internet.
	Scheme Scheme

	// Subnets are where its nodes are: at least two, each in another zone of one
	// VPC. For the internet-facing scheme they need a route to an internet gateway,
	// or no packet comes back.
	Subnets []*fabricfake.Subnet

	// Groups are the security groups of its nodes. If nil, the VPC's default group.
	Groups fabricfake.Groups

	// DNS is where its name is published. If nil, it is not.
	DNS *dnsfake.System

	// Attributes are what can be tuned. Zero is the real service's defaults.
	Attributes Attributes
}

// ApplicationLoadBalancer is a load balancer for HTTP: a node in each of its zones, and
// listeners that say where requests go. All methods are safe for concurrent use.
type ApplicationLoadBalancer struct {
	world      *netfake.World
	name       string
	dnsName    string
	scheme     Scheme
	attributes Attributes
	vpc        *fabricfake.VPC
	nodes      []*node // in the order of the subnets

	mu        sync.Mutex
	listeners []*Listener
	log       []*Access
}

// NewApplication makes an application load balancer in a VPC. Its name is up to 32
// letters, digits and hyphens; one that the region has already fails the test with
// DuplicateLoadBalancerName. Fewer than two zones, two subnets of one zone or subnets of
// another VPC fail it with InvalidConfigurationRequest, the internet-facing scheme in a
// VPC without an internet gateway with InvalidSubnet. No VPC, of which there is no test to
// fail, panics.
func NewApplication(vpc *fabricfake.VPC, name string, cfg ApplicationConfig) *ApplicationLoadBalancer {
	if vpc == nil {
		panic("lbfake: NewApplication of no VPC")
	}
	w := vpc.World()
	w.TB().Helper()
	b := &ApplicationLoadBalancer{world: w, name: name, scheme: cfg.Scheme, vpc: vpc}
	if err := b.configure(cfg); err != nil {
		w.TB().Fatalf("%v", err)
	}
	for _, s := range cfg.Subnets {
		b.nodes = append(b.nodes, b.launch(s, cfg.Groups))
	}
	if cfg.DNS != nil {
		cfg.DNS.Provide(b)
	}
	return b
}

// textZones is what the API says to too few of them.
const textZones = "At least two subnets in two different Availability Zones must be specified"

// configure checks the configuration and takes it over.
func (b *ApplicationLoadBalancer) configure(cfg ApplicationConfig) error {
	if err := checkName("load balancer", b.name); err != nil {
		return err
	}
	if err := b.checkSubnets(cfg.Subnets); err != nil {
		return err
	}
	if b.scheme == InternetFacing && b.vpc.Gateway() == "" {
		return refuse(codeSubnet, "load balancer %q: VPC %v has no internet gateway", b.name, b.vpc)
	}
	var err error
	if b.attributes, err = cfg.Attributes.withDefaults(); err != nil {
		return err
	}
	region := b.vpc.Region().Name()
	b.dnsName = b.makeDNSName(region)
	return reserve(b.world, codeDuplicateName, "load balancer", region, b.name)
}

func (b *ApplicationLoadBalancer) checkSubnets(subnets []*fabricfake.Subnet) error {
	zones := map[string]bool{}
	for _, s := range subnets {
		switch {
		case s == nil || s.VPC() != b.vpc:
			return refuse(codeConfiguration, "load balancer %q: %v is no subnet of vpc %v", b.name, s, b.vpc)
		case zones[s.Zone()]:
			return refuse(codeConfiguration, "load balancer %q: A load balancer cannot be attached to multiple subnets in the same Availability Zone (%s)", b.name, s.Zone())
		case s.CIDR().Bits() > 27:
			return refuse(codeConfiguration, "load balancer %q: subnet %v has a block %v, and /27 is the smallest", b.name, s, s.CIDR())
		}
		zones[s.Zone()] = true
	}
	if len(zones) < minZones {
		return refuse(codeConfiguration, "load balancer %q: %s", b.name, textZones)
	}
	return nil
}

// makeDNSName makes a load balancer's name: the real ones are the load balancer's name,
// a number, and the region.
func (b *ApplicationLoadBalancer) makeDNSName(region string) string {
	prefix := ""
	if b.scheme == Internal {
		prefix = "internal-"
	}
	number := 1e9 + keyed(b.world.Seed(), "dns name", region, b.name)%1e9
	return strings.ToLower(fmt.Sprintf("%s%s-%d.%s.elb.amazonaws.com", prefix, b.name, number, region))
}

// launch puts a node into a subnet.
func (b *ApplicationLoadBalancer) launch(s *fabricfake.Subnet, groups fabricfake.Groups) *node {
	b.world.TB().Helper()
	i := s.Instance(fmt.Sprintf("alb %s %s", b.name, s.Zone()), fabricfake.InstanceConfig{Groups: groups})
	addr := i.Interface().PrivateIP()
	if b.scheme == InternetFacing {
		eip := gatewayfake.NewElasticIP(b.vpc)
		eip.Associate(i.Interface())
		addr = eip.Addr()
	}
	return newNode(b, s.Zone(), i.Host, addr)
}

// namePattern is what load balancers and target groups may be called.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)

func checkName(kind, name string) error {
	if !namePattern.MatchString(name) || strings.HasPrefix(name, "internal-") {
		return refuse(codeValidation, `%s %q: a name is up to 32 letters, digits and inner hyphens, and does not begin with "internal-"`, kind, name)
	}
	return nil
}

// names is what the package keeps of a world: what is taken.
type names struct {
	mu    sync.Mutex
	taken map[string]bool
}

// reserve takes a name in a region, or returns the API's refusal.
func reserve(w *netfake.World, code, kind, region, name string) error {
	ns := netfake.Shared(w, func() *names { return &names{taken: map[string]bool{}} })
	ns.mu.Lock()
	defer ns.mu.Unlock()
	key := kind + "/" + region + "/" + name
	if ns.taken[key] {
		return refuse(code, "A %s with the name '%s' exists in %s", kind, name, region)
	}
	ns.taken[key] = true
	return nil
}

// String returns "alb name".
func (b *ApplicationLoadBalancer) String() string { return "alb " + b.name }

// Name returns the load balancer's name.
func (b *ApplicationLoadBalancer) Name() string { return b.name }

// Scheme returns from where the load balancer is reached.
func (b *ApplicationLoadBalancer) Scheme() Scheme { return b.scheme }

// World returns the world that the load balancer is in.
func (b *ApplicationLoadBalancer) World() *netfake.World { return b.world }

// Node returns the host that is the load balancer in a zone, nil where it has none: to
// be crashed, or asked who can reach it.
func (b *ApplicationLoadBalancer) Node(zone string) *netfake.Host {
	if n := b.nodeIn(zone); n != nil {
		return n.host
	}
	return nil
}

func (b *ApplicationLoadBalancer) nodeIn(zone string) *node {
	for _, n := range b.nodes {
		if n.zone == zone {
			return n
		}
	}
	return nil
}

// DNSName returns the load balancer's name, such as
// web-1234567890.ap-southeast-2.elb.amazonaws.com. It depends on the seed.
func (b *ApplicationLoadBalancer) DNSName() string { return b.dnsName }

// Addrs returns the addresses that the name has now, one for each zone whose node sees
// a healthy target in any group, and how long resolvers keep them. With no such zone
// all zones are in it. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
func (b *ApplicationLoadBalancer) Addrs() ([]netip.Addr, time.Duration) {
	groups := b.groups()
	var healthy, all []netip.Addr
	for _, n := range b.nodes {
		all = append(all, n.addr)
		if slices.ContainsFunc(groups, func(g *TargetGroup) bool { _, ok := g.counts(n); return ok > 0 }) {
			healthy = append(healthy, n.addr)
		}
	}
	if len(healthy) == 0 {
		return all, DNSTTL
	}
	return healthy, DNSTTL
}

// Healthy reports what an alias record with EvaluateTargetHealth goes by: every group
// that has targets has a healthy one, and some group has targets.
func (b *ApplicationLoadBalancer) Healthy() bool {
	some := false
	for _, g := range b.groups() {
		registered, healthy := g.counts(nil)
		if registered > 0 && healthy == 0 {
			return false
		}
		some = some || registered > 0
	}
	return some
}

// groups returns the target groups that the load balancer forwards to.
func (b *ApplicationLoadBalancer) groups() []*TargetGroup {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*TargetGroup
	for _, l := range b.listeners {
		for _, r := range l.rules {
			if g := r.action.forwards(); g != nil && !slices.Contains(all, g) {
				all = append(all, g)
			}
		}
	}
	return all
}

func portAddress(port uint16) string { return ":" + strconv.Itoa(int(port)) }

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

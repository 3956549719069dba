package gatewayfake

import (
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// ElasticIPQuota is how many elastic IPs an account has in a region, until SetElasticIPQuota
// says otherwise. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const ElasticIPQuota = 5

// maxElasticIPs is how far the quota can be raised: all addresses that there are for a
// world are many more.
const maxElasticIPs = 4096

// publicAddresses is how many addresses of publicBlock are ever given out.
const publicAddresses = 1 << 16

// publicBlock is where public addresses come from: RFC 2544 sets it aside for
// benchmarks, so it is nobody's.
var publicBlock = netip.MustParsePrefix("198.18.0.0/15")

// pool is what the package keeps of a world: the public addresses that it has given
// out, and who announces them.
type pool struct {
	given    int                        // in all regions, since the world's beginning
	held     map[*fabricfake.Region]int // elastic IPs that are not released
	quotas   map[*fabricfake.Region]int // that were set
	gateways map[*fabricfake.VPC]*InternetGateway
	titles   map[title]bool
}

func newPool() *pool {
	return &pool{held: map[*fabricfake.Region]int{}, quotas: map[*fabricfake.Region]int{}, gateways: map[*fabricfake.VPC]*InternetGateway{}, titles: map[title]bool{}}
}

func addresses(w *netfake.World) *pool { return netfake.Shared(w, newPool) }

// title is a gateway's name among those of its kind in its VPC.
type title struct {
	vpc        *fabricfake.VPC
	kind, name string
}

// check fails the test if the name cannot be given.
func (t title) check() {
	w := t.vpc.World()
	w.TB().Helper()
	switch {
	case t.name == "":
		w.TB().Fatalf("gatewayfake: InvalidParameterValue: the %s of vpc %s has no name", t.kind, t.vpc.Name())
	case addresses(w).titles[t]:
		w.TB().Fatalf("gatewayfake: InvalidParameterValue: vpc %s has the %s %s already", t.vpc.Name(), t.kind, t.name)
	}
}

func (t title) take() { addresses(t.vpc.World()).titles[t] = true }
func (t title) free() { delete(addresses(t.vpc.World()).titles, t) }

// ElasticIP is a public address that belongs to the account until it is released, and
// to at most one interface at a time.
type ElasticIP struct {
	vpc   *fabricfake.VPC
	addr  netip.Addr
	owner *fabricfake.Interface
	nat   *NATGateway // whose interface owner is, or nil

	released bool
}

// SetElasticIPQuota sets how many elastic IPs the account may have in a region, as a
// request to raise the quota does. What it has beyond them it keeps. A quota that is
// negative or above 4096 fails the test.
func SetElasticIPQuota(region *fabricfake.Region, quota int) {
	w := region.World()
	w.TB().Helper()
	if quota < 0 || quota > maxElasticIPs {
		w.TB().Fatalf("gatewayfake: InvalidParameterValue: a quota of %d elastic IPs in region %v", quota, region)
	}
	addresses(w).quotas[region] = quota
}

// quota returns how many elastic IPs a region may have.
func (p *pool) quota(region *fabricfake.Region) int {
	if n, ok := p.quotas[region]; ok {
		return n
	}
	return ElasticIPQuota
}

// NewElasticIP allocates a public address in the VPC's region. More than the region's
// quota fail the test with AddressLimitExceeded. No VPC, of which there is no test to fail,
// panics.
func NewElasticIP(vpc *fabricfake.VPC) *ElasticIP {
	if vpc == nil {
		panic("gatewayfake: NewElasticIP of no VPC")
	}
	w := vpc.World()
	w.TB().Helper()
	all := addresses(w)
	region := vpc.Region()
	if all.held[region] >= all.quota(region) {
		w.TB().Fatalf("gatewayfake: AddressLimitExceeded: the account has %d elastic IPs in region %v, and may have %d (see SetElasticIPQuota)",
			all.held[region], region, all.quota(region))
	}
	if all.given >= publicAddresses {
		w.TB().Fatalf("gatewayfake: InsufficientAddressCapacity: the world has given out %d addresses", all.given)
	}
	all.given++
	all.held[region]++
	addr := publicBlock.Addr()
	for range all.given + 9 { // from 198.18.0.10 on
		addr = addr.Next()
	}
	return &ElasticIP{vpc: vpc, addr: addr}
}

// Addr returns the address.
func (e *ElasticIP) Addr() netip.Addr { return e.addr }

// String returns the address.
func (e *ElasticIP) String() string { return e.addr.String() }

// Associate gives the address to an interface: from then on the internet gateway of the
// VPC translates between the two. Without one it fails the test with
// Gateway.NotAttached; an address or an interface that is taken, with
// Resource.AlreadyAssociated.
func (e *ElasticIP) Associate(f *fabricfake.Interface) {
	w := e.vpc.World()
	w.TB().Helper()
	if f == nil {
		w.TB().Fatalf("gatewayfake: InvalidNetworkInterfaceID.NotFound: there is no interface that %v could belong to", e.addr)
	}
	g := addresses(w).gateways[f.VPC()]
	switch {
	case e.released:
		w.TB().Fatalf("gatewayfake: InvalidAllocationID.NotFound: %v was released", e.addr)
	case f.VPC() != e.vpc:
		w.TB().Fatalf("gatewayfake: InvalidParameterValue: %v was allocated for vpc %s, %v is in %s", e.addr, e.vpc.Name(), f, f.VPC().Name())
	case g == nil || !g.attached:
		w.TB().Fatalf("gatewayfake: Gateway.NotAttached: vpc %s has no internet gateway, so %v cannot have %v", e.vpc.Name(), f, e.addr)
	case e.owner != nil:
		w.TB().Fatalf("gatewayfake: Resource.AlreadyAssociated: %v belongs to %v", e.addr, e.owner)
	case f.PublicIP().IsValid():
		w.TB().Fatalf("gatewayfake: Resource.AlreadyAssociated: %v has %v", f, f.PublicIP())
	}
	e.owner = f
	f.SetPublicIP(e.addr)
	w.Do(func(time.Duration) { g.public[e.addr] = f })
	g.uplink.Announce(e.addr)
}

// Disassociate takes the address from its interface. It does nothing if it has none.
// The address of a NAT gateway fails the test with OperationNotPermitted: the gateway
// has it until it is deleted.
func (e *ElasticIP) Disassociate() {
	w := e.vpc.World()
	w.TB().Helper()
	if e.nat != nil {
		w.TB().Fatalf("gatewayfake: OperationNotPermitted: %v belongs to the NAT gateway %v, which has it until it is deleted", e.addr, e.nat)
	}
	e.free()
}

// Release gives the address back: another may take its place in the quota, and nobody gets
// this one again. One that belongs to an interface fails the test with
// InvalidIPAddress.InUse, one that was released with InvalidAllocationID.NotFound.
func (e *ElasticIP) Release() {
	w := e.vpc.World()
	w.TB().Helper()
	switch {
	case e.released:
		w.TB().Fatalf("gatewayfake: InvalidAllocationID.NotFound: %v was released", e.addr)
	case e.owner != nil:
		w.TB().Fatalf("gatewayfake: InvalidIPAddress.InUse: %v belongs to %v", e.addr, e.owner)
	}
	e.released = true
	addresses(w).held[e.vpc.Region()]--
}

// free takes the address from whoever has it.
func (e *ElasticIP) free() {
	if e.owner == nil {
		return
	}
	w := e.vpc.World()
	g := addresses(w).gateways[e.vpc]
	g.uplink.Withdraw(e.addr)
	w.Do(func(time.Duration) { delete(g.public, e.addr) })
	e.owner.SetPublicIP(netip.Addr{})
	e.owner, e.nat = nil, nil
}

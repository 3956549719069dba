package gatewayfake

import (
	"net/netip"
	"slices"
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

// pool is what the package keeps of a world: the elastic IPs that an account has, the
// gateways and the peerings.
type pool struct {
	held     map[*fabricfake.Region]int // elastic IPs that are not released
	quotas   map[*fabricfake.Region]int // that were set
	gateways map[*fabricfake.VPC]*InternetGateway
	titles   map[title]bool
	nats     map[natZone]int // NAT gateways that are not deleted
	peerings []*Peering      // that are pending or active, and some that were
	numbers  int             // of peerings
}

func newPool() *pool {
	return &pool{
		held: map[*fabricfake.Region]int{}, quotas: map[*fabricfake.Region]int{}, gateways: map[*fabricfake.VPC]*InternetGateway{},
		titles: map[title]bool{}, nats: map[natZone]int{},
	}
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
// to at most one private IPv4 address at a time: of an interface, with which it moves, in
// whichever VPC of its region.
type ElasticIP struct {
	vpc  *fabricfake.VPC // that it was allocated for, or had its last interface in
	addr netip.Addr
	nat  *NATGateway // that has it, or nil

	released bool
}

// SetElasticIPQuota sets how many elastic IPs the account may have in a region, as a
// request to raise the quota does. What it has beyond them it keeps. A quota that is
// negative or above 4096 fails the test; no region, of which there is none, panics.
func SetElasticIPQuota(region *fabricfake.Region, quota int) {
	if region == nil {
		panic("gatewayfake: SetElasticIPQuota of no region")
	}
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
// quota fail the test with AddressLimitExceeded, a VPC that was deleted with
// InvalidVpcID.NotFound. The address is the region's: every VPC there may have it, and it
// outlives this one. A nil VPC panics.
func NewElasticIP(vpc *fabricfake.VPC) *ElasticIP {
	if vpc == nil {
		panic("gatewayfake: NewElasticIP of no VPC")
	}
	w := vpc.World()
	w.TB().Helper()
	if vpc.Deleted() {
		w.TB().Fatalf("gatewayfake: InvalidVpcID.NotFound: vpc %s was deleted", vpc.Name())
	}
	all := addresses(w)
	region := vpc.Region()
	if all.held[region] >= all.quota(region) {
		w.TB().Fatalf("gatewayfake: AddressLimitExceeded: the account has %d elastic IPs in region %v, and may have %d (see SetElasticIPQuota)",
			all.held[region], region, all.quota(region))
	}
	all.held[region]++
	return &ElasticIP{vpc: vpc, addr: fabricfake.AllocatePublicIP(w)}
}

// world returns the world that the address is in. No address, of which there is no test to
// fail, panics.
func (e *ElasticIP) world() *netfake.World {
	if e == nil {
		panic("gatewayfake: a method of a nil *ElasticIP")
	}
	return e.vpc.World()
}

// Addr returns the address.
func (e *ElasticIP) Addr() netip.Addr { return e.addr }

// String returns the address.
func (e *ElasticIP) String() string { return e.addr.String() }

// Interface returns the interface that the address belongs to, with the private address
// that it stands for; nil if it belongs to none.
func (e *ElasticIP) Interface() (f *fabricfake.Interface, private netip.Addr) {
	e.world().Do(func(time.Duration) { f, private = e.vpc.PublicOwner(e.addr) })
	return f, private
}

// Associate gives the address to an interface, for its primary private address: see
// AssociateTo.
func (e *ElasticIP) Associate(f *fabricfake.Interface) {
	e.world().TB().Helper()
	private := netip.Addr{}
	if f != nil {
		private = f.PrivateIP()
	}
	e.AssociateTo(f, private)
}

// AssociateTo gives the address to one of an interface's private IPv4 addresses: from then
// on the internet gateway of the VPC translates between the two. A public address that the
// private one was assigned with the launch of its instance is released. Without an internet
// gateway it fails the test with Gateway.NotAttached; an address that is taken, or that has
// an elastic IP, with Resource.AlreadyAssociated; one that is not the interface's with
// InvalidParameterValue; an elastic IP that was released, or is another region's, with
// InvalidAllocationID.NotFound.
func (e *ElasticIP) AssociateTo(f *fabricfake.Interface, private netip.Addr) {
	w := e.world()
	w.TB().Helper()
	if f == nil || f.Status() == fabricfake.InterfaceDeleted {
		w.TB().Fatalf("gatewayfake: InvalidNetworkInterfaceID.NotFound: there is no interface that %v could belong to", e.addr)
	}
	owner, _ := e.Interface()
	g := addresses(w).gateways[f.VPC()]
	switch {
	case e.released:
		w.TB().Fatalf("gatewayfake: InvalidAllocationID.NotFound: %v was released", e.addr)
	case f.VPC().Region() != e.vpc.Region():
		w.TB().Fatalf("gatewayfake: InvalidAllocationID.NotFound: %v is an address of region %v, %v is in %v", e.addr, e.vpc.Region(), f, f.VPC().Region())
	case g == nil || !g.attached:
		w.TB().Fatalf("gatewayfake: Gateway.NotAttached: vpc %s has no internet gateway, so %v cannot have %v", f.VPC().Name(), f, e.addr)
	case owner != nil:
		w.TB().Fatalf("gatewayfake: Resource.AlreadyAssociated: %v belongs to %v", e.addr, owner)
	case !private.Is4() || !slices.Contains(f.Addresses(), private):
		w.TB().Fatalf("gatewayfake: InvalidParameterValue: %v is no private IPv4 address of %v", private, f)
	case f.HasElasticIP(private):
		w.TB().Fatalf("gatewayfake: Resource.AlreadyAssociated: %v of %v has %v", private, f, f.PublicIPOf(private))
	}
	if f.VPC() != e.vpc {
		e.vpc.Unannounce(e.addr)
		e.vpc = f.VPC()
	}
	f.SetPublicIPOf(private, e.addr)
}

// Disassociate takes the address from its interface, whose instance gets another one
// assigned if it had one at its launch and has no other interface. It does nothing if the
// address belongs to none.
// The address of a NAT gateway fails the test with OperationNotPermitted: the gateway
// has it until it is deleted. One that was released fails it with InvalidAllocationID.NotFound.
func (e *ElasticIP) Disassociate() {
	w := e.world()
	w.TB().Helper()
	e.mustExist()
	if e.nat != nil {
		w.TB().Fatalf("gatewayfake: OperationNotPermitted: %v belongs to the NAT gateway %v, which has it until it is deleted", e.addr, e.nat)
	}
	e.free()
}

// Release gives the address back: another may take its place in the quota, and nobody gets
// this one again. One that belongs to an interface fails the test with
// InvalidIPAddress.InUse, one that was released with InvalidAllocationID.NotFound.
func (e *ElasticIP) Release() {
	w := e.world()
	w.TB().Helper()
	e.mustExist()
	if owner, _ := e.Interface(); owner != nil {
		w.TB().Fatalf("gatewayfake: InvalidIPAddress.InUse: %v belongs to %v", e.addr, owner)
	}
	e.released = true
	addresses(w).held[e.vpc.Region()]--
}

// mustExist fails the test for an address that was released.
func (e *ElasticIP) mustExist() {
	w := e.world()
	w.TB().Helper()
	if e.released {
		w.TB().Fatalf("gatewayfake: InvalidAllocationID.NotFound: %v was released", e.addr)
	}
}

// free takes the address from whoever has it.
func (e *ElasticIP) free() {
	e.world().TB().Helper()
	e.nat = nil
	if f, private := e.Interface(); f != nil {
		f.SetPublicIPOf(private, netip.Addr{})
		f.Reassign()
	}
}

package dnsfake

import (
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// Network is a network with a resolver of its own: a *fabricfake.VPC.
type Network interface {
	Name() string
	Place() netfake.Place

	// AttachResolver makes a host the resolver of the network's instances.
	AttachResolver(h *netfake.Host)
}

// VPCResolver gives a VPC its resolver, at the base of its block plus two and at
// 169.254.169.253. Instances that are launched afterwards ask it; it recurses from the
// internet, whatever routes the VPC has. Call it before the first instance.
func (sys *System) VPCResolver(n Network) *Resolver {
	sys.world.TB().Helper()
	sys.mu.Lock()
	sys.networks++
	number := sys.networks
	sys.mu.Unlock()
	if number > 250 {
		sys.world.TB().Fatalf("dnsfake: the resolver of %s: 250 networks have one, and that is all", n.Name())
	}
	// The side of the internet is nobody's address: RFC 2544.
	outside := netip.AddrFrom4([4]byte{198, 19, 255, byte(number)})
	h := sys.world.Internet().HostAt(n.Place(), "resolver of "+n.Name(), outside.String())
	n.AttachResolver(h)
	return sys.ResolverOn(h)
}

package fabricfake

import "github.com/netspec-go/netspec/netfake"

// What a test's author forgot to make fails the test where there is one to fail. A method of
// a nil pointer knows of no test: it panics, and says what is nil.

// made returns p, which is not nil.
func made[T any](p *T, what string) *T {
	if p == nil {
		panic("fabricfake: a method of a nil " + what)
	}
	return p
}

// in returns the test of a world, in which a function of the package is to make something.
func in(w *netfake.World, what string) netfake.TB {
	if w == nil {
		panic("fabricfake: " + what + " of no world")
	}
	return w.TB()
}

// tb returns the test that fails when something of the world cannot be.
func (r *Region) tb() netfake.TB         { return made(r, "*Region").world.TB() }
func (v *VPC) tb() netfake.TB            { return made(v, "*VPC").world.TB() }
func (s *Subnet) tb() netfake.TB         { return made(s, "*Subnet").vpc.world.TB() }
func (f *Interface) tb() netfake.TB      { return made(f, "*Interface").vpc.world.TB() }
func (i *Instance) tb() netfake.TB       { return i.World().TB() }
func (g *SecurityGroup) tb() netfake.TB  { return made(g, "*SecurityGroup").world.TB() }
func (a *NetworkACL) tb() netfake.TB     { return made(a, "*NetworkACL").world.TB() }
func (t *RouteTable) tb() netfake.TB     { return made(t, "*RouteTable").world.TB() }
func (l *PrefixList) tb() netfake.TB     { return made(l, "*PrefixList").region.world.TB() }
func (g *PlacementGroup) tb() netfake.TB { return made(g, "*PlacementGroup").region.world.TB() }
func (k *Rack) tb() netfake.TB           { return made(k, "*Rack").region.world.TB() }
func (h *PhysicalHost) tb() netfake.TB   { return made(h, "*PhysicalHost").region.world.TB() }
func (e *Edge) tb() netfake.TB           { return made(e, "*Edge").region.world.TB() }

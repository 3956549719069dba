package fabricfake

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Quotas of route tables. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const (
	maxRoutes           = 500 // of a family, that were not propagated; the local ones do not count
	maxPropagatedRoutes = 100 // what comes beyond is not installed
	maxTables           = 200 // in a VPC
)

// RouteTable decides where packets go that leave a subnet. Its methods may be called
// at any time and take effect at once.
type RouteTable struct {
	world   *netfake.World
	vpc     *VPC // whose targets the routes may have
	name    string
	main    bool                  // the table of subnets without one of their own
	subnets func() []netip.Prefix // the blocks of the VPC's subnets; it must not lock
	routes  []Route               // longest prefix first, then by rank, then the older
	lists   []listRoute           // the prefix lists that are routed to
	learns  []*Propagation        // the gateways that propagate their routes to it
	edges   []*Edge               // the gateways that it is associated with
	deleted bool
	memory  [16]lookedUp // by the destination, see place
}

// newRouteTable returns a table with a local route for each block of the VPC. Subnets
// returns the blocks of its subnets and is called inside the scheduler.
func newRouteTable(w *netfake.World, name string, cidrs []netip.Prefix, subnets func() []netip.Prefix) *RouteTable {
	t := &RouteTable{world: w, name: name, subnets: subnets}
	for _, c := range cidrs {
		t.addLocal(c)
	}
	return t
}

// String returns "rtb name", as traces print it.
func (t *RouteTable) String() string { return "rtb " + t.name }

// Name returns the table's name.
func (t *RouteTable) Name() string { return t.name }

// Route adds a route. It fails the test if the destination has one already, or is one
// that the API refuses, as it does a target that is detached or of another VPC.
func (t *RouteTable) Route(destination string, target Target) *RouteTable {
	t.tb().Helper()
	return t.edit(destination, func(dst netip.Prefix) error { return t.add(dst, target) })
}

// ReplaceRoute gives the route to destination another target. A local route's may be
// replaced too, and restored with Local. It fails the test for a target that Route
// refuses.
func (t *RouteTable) ReplaceRoute(destination string, target Target) *RouteTable {
	t.tb().Helper()
	return t.edit(destination, func(dst netip.Prefix) error { return t.replace(dst, target) })
}

// DeleteRoute removes the route to destination.
func (t *RouteTable) DeleteRoute(destination string) *RouteTable {
	t.tb().Helper()
	return t.edit(destination, t.removeRoute)
}

// Routes returns the table's routes: longest prefix first, and of those to one
// destination the one that is used first.
func (t *RouteTable) Routes() (routes []Route) {
	t.world.Do(func(time.Duration) { routes = slices.Clone(t.routes) })
	return routes
}

// edit changes the table inside the scheduler.
func (t *RouteTable) edit(destination string, change func(dst netip.Prefix) error) *RouteTable {
	tb := t.tb()
	tb.Helper()
	dst, err := parseAnyBlock(destination)
	if err == nil {
		t.world.Do(func(time.Duration) {
			if err = t.checkAlive(); err == nil {
				err = change(dst)
			}
		})
	}
	if err != nil {
		tb.Fatalf("%v (%v)", err, t)
	}
	return t
}

// addLocal adds the local route of one of the VPC's blocks.
func (t *RouteTable) addLocal(cidr netip.Prefix) {
	t.put(Route{Destination: cidr, Target: Local, Origin: OriginLocal})
}

// removeLocal removes the local route of a block that has left the VPC.
func (t *RouteTable) removeLocal(cidr netip.Prefix) {
	t.set(slices.DeleteFunc(t.routes, func(r Route) bool {
		return r.Origin == OriginLocal && r.Destination == cidr
	}))
}

// add adds a static route.
func (t *RouteTable) add(dst netip.Prefix, target Target) error {
	if isNil(target) {
		return refuse(codeParameterValue, "the route to %v has no target", dst)
	}
	if err := t.checkDestination(dst); err != nil {
		return err
	}
	if i := t.own(dst); i >= 0 {
		return refuse(codeRouteExists, "there is a route %v", t.routes[i])
	}
	if err := t.checkTarget(dst, target); err != nil {
		return err
	}
	if err := t.checkQuota(dst.Addr().Is4(), 1); err != nil {
		return err
	}
	t.put(Route{Destination: dst, Target: target})
	return nil
}

// checkDestination refuses what no static route may lead to.
func (t *RouteTable) checkDestination(dst netip.Prefix) error {
	for _, never := range unroutable {
		if contains(never, dst) {
			return refuse(codeParameterValue, "%v lies in %v, which cannot be routed", dst, never)
		}
	}
	for _, r := range t.routes {
		inside := r.Origin == OriginLocal && contains(r.Destination, dst) && r.Destination != dst
		if inside && !slices.Contains(t.subnets(), dst) {
			return refuse(codeParameterValue, "%v is more specific than %v, and not the block of a subnet", dst, r)
		}
	}
	return nil
}

// checkTarget refuses a target that no route to dst may have. Sources of the case of an
// instance and of the last one:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html and
// https://docs.aws.amazon.com/vpc/latest/userguide/route-table-options.html
func (t *RouteTable) checkTarget(dst netip.Prefix, target Target) error {
	if len(t.edges) > 0 {
		if err := t.checkEdgeRoute(dst, target); err != nil {
			return err
		}
	}
	if i, ok := target.(*Instance); ok && len(i.ifaces) > 1 {
		return refuse("InvalidInstanceID", "%s has %d interfaces attached: one of them must be the target", i.Name(), len(i.ifaces))
	}
	next := target.NextHop()
	if next.Peering != nil && next.Peering.other(t.vpc) == nil {
		return refuse(codeParameterValue, "%v and %v belong to different networks: vpc %s is at neither end", t, target, t.vpc.name)
	}
	if v := next.vpc(); v != nil && v != t.vpc {
		return refuse(codeParameterValue, "%v and %v belong to different networks: the target is in vpc %s", t, target, v.name)
	}
	if !target.Attached() && !next.offered(t.world.Now()) {
		return refuse(codeParameterValue, "%v is not attached to the VPC of the route table", target)
	}
	for _, r := range t.routes {
		if r.Origin == OriginLocal && (next.Edge != nil || next.Peering != nil) && contains(r.Destination, dst) {
			return refuse(codeParameterValue, "%v lies in %v of the VPC itself, so that %v cannot be its target, only an interface can", dst, r.Destination, target)
		}
	}
	return nil
}

// replace gives a static or local route another target.
func (t *RouteTable) replace(dst netip.Prefix, target Target) error {
	i := t.own(dst)
	switch {
	case isNil(target):
		return refuse(codeParameterValue, "the route to %v has no target", dst)
	case i < 0:
		return refuse(codeRouteNotFound, "there is no route to %v", dst)
	}
	if err := t.checkTarget(dst, target); err != nil {
		return err
	}
	t.routes[i].Target = target
	return nil
}

// removeRoute removes a static route.
func (t *RouteTable) removeRoute(dst netip.Prefix) error {
	i := t.own(dst)
	switch {
	case i < 0:
		return refuse(codeRouteNotFound, "there is no route to %v", dst)
	case t.routes[i].Origin == OriginLocal:
		return refuse(codeParameterValue, "the local route %v cannot be removed", dst)
	}
	t.set(slices.Delete(t.routes, i, i+1))
	return nil
}

// own returns the index of the static or local route to dst, -1 if there is none.
func (t *RouteTable) own(dst netip.Prefix) int {
	return slices.IndexFunc(t.routes, func(r Route) bool {
		return r.Destination == dst && (r.Origin == OriginStatic || r.Origin == OriginLocal)
	})
}

// install adds a propagated route. Those beyond the quota are left out in silence. A route
// that is there already stays as it is.
func (t *RouteTable) install(r Route) {
	propagated := func(r *Route) bool { return r.Origin.propagated() }
	if !slices.Contains(t.routes, r) && t.count(propagated) < maxPropagatedRoutes {
		t.put(r)
	}
}

// withdraw removes a route that install added. One that is not there is ignored.
func (t *RouteTable) withdraw(r Route) {
	t.set(slices.DeleteFunc(t.routes, func(o Route) bool { return o == r }))
}

// checkQuota refuses more routes of a family that are not propagated than there is room
// for. A prefix list takes the room of all the entries that it is for.
func (t *RouteTable) checkQuota(ipv4 bool, more int) error {
	taken := t.count(func(r *Route) bool {
		return r.Origin == OriginStatic && r.Destination.Addr().Is4() == ipv4
	})
	for _, lr := range t.lists {
		if lr.list.ipv4 == ipv4 {
			taken += lr.list.max
		}
	}
	if most := t.vpc.quotas().RoutesPerTable; taken+more > most {
		return refuse(codeRouteLimit, "a table has %d routes at most", most)
	}
	return nil
}

func (t *RouteTable) count(of func(*Route) bool) (n int) {
	for i := range t.routes {
		if of(&t.routes[i]) {
			n++
		}
	}
	return n
}

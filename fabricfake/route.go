package fabricfake

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Quotas of route tables. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const (
	maxRoutes           = 500 // that were not propagated; the local ones do not count
	maxPropagatedRoutes = 100 // what comes beyond is not installed
)

// The explanation codes of route tables. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const (
	codeNoRoute  netfake.Code = "NO_ROUTE_TO_DESTINATION"
	codeBadRoute netfake.Code = "BAD_STATE_ROUTE"
)

// unroutable are addresses of services beside the instance, which no route reaches.
// Source: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
var unroutable = blocks("169.254.168.0/22", "fd00:ec2::/32")

// Target is where a route leads: a gateway, an interface, an endpoint, or Local.
type Target interface {
	netfake.Component

	// Attached reports whether the target exists and is attached. A route to one
	// that is not stays in its table and swallows packets. It is called inside the
	// scheduler and must not lock.
	Attached() bool

	// NextHop returns where the fabric takes a packet that is routed to the target.
	// It is called inside the scheduler and must not lock.
	NextHop() NextHop
}

// Local is the target of the routes that lead to the VPC's own interfaces.
var Local Target = &localTarget{"local"}

type localTarget struct{ name string }

func (t *localTarget) String() string   { return t.name }
func (t *localTarget) Attached() bool   { return true }
func (t *localTarget) NextHop() NextHop { return NextHop{} }

// Origin tells how a route came into a table, which decides between routes with one
// destination. The zero Origin is a route that was added by hand.
type Origin uint8

// The origins of a route.
const (
	OriginStatic        Origin = iota // CreateRoute
	OriginLocal                       // comes with the table
	OriginPrefixList                  // an entry of a prefix list, such as a gateway endpoint's
	OriginDirectConnect               // propagated: learnt over Direct Connect
	OriginVPNStatic                   // propagated: configured at a VPN connection
	OriginVPN                         // propagated: learnt over a VPN connection
)

// String returns the origin as the API names it.
func (o Origin) String() string {
	switch o {
	case OriginLocal:
		return "CreateRouteTable"
	case OriginStatic, OriginPrefixList:
		return "CreateRoute"
	}
	return "EnableVgwRoutePropagation"
}

// propagated reports whether a virtual private gateway put the route there.
func (o Origin) propagated() bool { return o >= OriginDirectConnect }

// rank orders routes with one destination, the lowest first. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html
func (o Origin) rank() int {
	if o == OriginLocal {
		return -1
	}
	return int(o)
}

// RouteState tells whether a route carries packets.
type RouteState uint8

// The states of a route. A blackhole still wins against shorter prefixes.
const (
	Blackhole RouteState = iota
	Active
)

// String returns the state as the API names it.
func (s RouteState) String() string {
	if s == Active {
		return "active"
	}
	return "blackhole"
}

// Route is one line of a route table.
type Route struct {
	Destination netip.Prefix
	Target      Target
	Origin      Origin
	List        *PrefixList // of which Destination is an entry, for OriginPrefixList
}

// State returns Active while the target exists and is attached. It may be called only
// inside the scheduler.
func (r Route) State() RouteState {
	if r.Target != nil && r.Target.Attached() {
		return Active
	}
	return Blackhole
}

// String returns "10.0.0.0/16 → local".
func (r Route) String() string { return fmt.Sprintf("%v → %v", r.Destination, r.Target) }

// describe returns the route as traces print it, with its state if that is bad.
func (r Route) describe() string {
	if r.State() == Active {
		return r.String()
	}
	return r.String() + " (blackhole)"
}

// code returns the explanation code for a packet that takes the route: none if it is
// active.
func (r Route) code() netfake.Code {
	if r.State() == Active {
		return ""
	}
	return codeBadRoute
}

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
	t.world.TB().Helper()
	return t.edit(destination, func(dst netip.Prefix) error { return t.add(dst, target) })
}

// ReplaceRoute gives the route to destination another target. A local route's may be
// replaced too, and restored with Local. It fails the test for a target that Route
// refuses.
func (t *RouteTable) ReplaceRoute(destination string, target Target) *RouteTable {
	t.world.TB().Helper()
	return t.edit(destination, func(dst netip.Prefix) error { return t.replace(dst, target) })
}

// DeleteRoute removes the route to destination.
func (t *RouteTable) DeleteRoute(destination string) *RouteTable {
	t.world.TB().Helper()
	return t.edit(destination, t.remove)
}

// Routes returns the table's routes: longest prefix first, and of those to one
// destination the one that is used first.
func (t *RouteTable) Routes() (routes []Route) {
	t.world.Do(func(time.Duration) { routes = slices.Clone(t.routes) })
	return routes
}

// edit changes the table inside the scheduler.
func (t *RouteTable) edit(destination string, change func(dst netip.Prefix) error) *RouteTable {
	tb := t.world.TB()
	tb.Helper()
	dst, err := parseAnyBlock(destination)
	if err == nil {
		t.world.Do(func(time.Duration) { err = change(dst) })
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
	t.routes = slices.DeleteFunc(t.routes, func(r Route) bool {
		return r.Origin == OriginLocal && r.Destination == cidr
	})
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
	if err := t.checkQuota(1); err != nil {
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

// checkTarget refuses a target that no route to dst may have. Source of the last case:
// https://docs.aws.amazon.com/vpc/latest/userguide/route-table-options.html
func (t *RouteTable) checkTarget(dst netip.Prefix, target Target) error {
	next := target.NextHop()
	if v := next.vpc(); v != nil && v != t.vpc {
		return refuse(codeParameterValue, "%v and %v belong to different networks: the target is in vpc %s", t, target, v.name)
	}
	if !target.Attached() {
		return refuse(codeParameterValue, "%v is not attached to the VPC of the route table", target)
	}
	for _, r := range t.routes {
		if r.Origin == OriginLocal && next.Edge != nil && contains(r.Destination, dst) {
			return refuse(codeParameterValue, "%v lies in %v of the VPC itself, so that %v cannot be its target, only an interface can", dst, r.Destination, target)
		}
	}
	return nil
}

// isNil reports whether a target is nil, or holds a pointer that is.
func isNil(target Target) bool {
	if target == nil {
		return true
	}
	v := reflect.ValueOf(target)
	return v.Kind() == reflect.Pointer && v.IsNil()
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

// remove removes a static route.
func (t *RouteTable) remove(dst netip.Prefix) error {
	i := t.own(dst)
	switch {
	case i < 0:
		return refuse(codeRouteNotFound, "there is no route to %v", dst)
	case t.routes[i].Origin == OriginLocal:
		return refuse(codeParameterValue, "the local route %v cannot be removed", dst)
	}
	t.routes = slices.Delete(t.routes, i, i+1)
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
	if !slices.Contains(t.routes, r) && t.count(Origin.propagated) < maxPropagatedRoutes {
		t.put(r)
	}
}

// withdraw removes a route that install added. One that is not there is ignored.
func (t *RouteTable) withdraw(r Route) {
	t.routes = slices.DeleteFunc(t.routes, func(o Route) bool { return o == r })
}

// checkQuota refuses more routes that are not propagated than there is room for. A
// prefix list takes the room of all the entries that it is for.
func (t *RouteTable) checkQuota(more int) error {
	taken := t.count(func(o Origin) bool { return o == OriginStatic })
	for _, lr := range t.lists {
		taken += lr.list.max
	}
	if taken+more > maxRoutes {
		return refuse(codeRouteLimit, "a table has %d routes at most", maxRoutes)
	}
	return nil
}

func (t *RouteTable) count(of func(Origin) bool) int {
	n := 0
	for _, r := range t.routes {
		if of(r.Origin) {
			n++
		}
	}
	return n
}

// put inserts a route behind those that precede it or came before it.
func (t *RouteTable) put(r Route) {
	at := slices.IndexFunc(t.routes, func(o Route) bool { return precedes(r, o) })
	if at < 0 {
		at = len(t.routes)
	}
	t.routes = slices.Insert(t.routes, at, r)
}

func precedes(a, b Route) bool {
	if a.Destination.Bits() != b.Destination.Bits() {
		return a.Destination.Bits() > b.Destination.Bits()
	}
	return a.Origin.rank() < b.Origin.rank()
}

// lookup returns the route that a packet to dst takes: the longest prefix, and of
// those to one destination the one of the lowest rank. A local route wins against a
// propagated one even where that is more specific.
func (t *RouteTable) lookup(dst netip.Addr) (Route, bool) {
	for _, never := range unroutable {
		if never.Contains(dst) {
			return Route{}, false
		}
	}
	best, learnt := -1, -1
	for i := range t.routes {
		r := &t.routes[i]
		if !r.Destination.Contains(dst) {
			continue
		}
		if !r.Origin.propagated() {
			best = i
			break
		}
		if learnt < 0 {
			learnt = i
		}
	}
	if learnt >= 0 && (best < 0 || !t.isLocal(dst)) {
		best = learnt
	}
	if best < 0 {
		return Route{}, false
	}
	return t.routes[best], true
}

func (t *RouteTable) isLocal(dst netip.Addr) bool {
	for i := range t.routes {
		if t.routes[i].Origin == OriginLocal && t.routes[i].Destination.Contains(dst) {
			return true
		}
	}
	return false
}

package fabricfake

import (
	"fmt"
	"net/netip"
	"reflect"

	"github.com/netspec-go/netspec/netfake"
)

// The explanation codes of route tables. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const (
	codeNoRoute  netfake.Code = "NO_ROUTE_TO_DESTINATION"
	codeBadRoute netfake.Code = "BAD_STATE_ROUTE"
)

// Target is where a route leads: a gateway, an interface, an instance with one, an endpoint, or
// Local. What its methods return changes as all that is remembered does: in World.Do, with a
// timer, or in a Step that calls World.Changed.
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

// isNil reports whether a target or a node is nil, or holds a pointer that is.
func isNil(c netfake.Component) bool {
	if c == nil {
		return true
	}
	v := reflect.ValueOf(c)
	return v.Kind() == reflect.Pointer && v.IsNil()
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

package fabricfake

import (
	"net/netip"
	"slices"
	"time"
)

// listRoute is a route whose destination is a prefix list: one route of the table for
// each of the list's entries.
type listRoute struct {
	list   *PrefixList
	target Target
}

// RoutePrefixList adds a route to all blocks of a prefix list, those that are added to it
// later too. A static route to the same destination wins against it, a propagated one
// does not. It fails the test for what Route refuses, a list that has a route already, and
// one that is of another region.
func (t *RouteTable) RoutePrefixList(l *PrefixList, target Target) *RouteTable {
	t.tb().Helper()
	return t.editList(l, func() error {
		if len(t.edges) > 0 {
			return refuse(codeParameterValue, "%v is the table of a gateway, which has no prefix lists", t)
		}
		if t.listRoute(l) >= 0 {
			return refuse(codeRouteExists, "there is a route to %v", l)
		}
		if err := t.checkListTarget(l, target); err != nil {
			return err
		}
		if err := t.checkQuota(l.ipv4, l.max); err != nil {
			return err
		}
		t.lists = append(t.lists, listRoute{l, target})
		l.tables = append(l.tables, t)
		t.follow(l)
		return nil
	})
}

// ReplacePrefixListRoute gives the route to a prefix list another target.
func (t *RouteTable) ReplacePrefixListRoute(l *PrefixList, target Target) *RouteTable {
	t.tb().Helper()
	return t.editList(l, func() error {
		i := t.listRoute(l)
		if i < 0 {
			return refuse(codeRouteNotFound, "there is no route to %v", l)
		}
		if err := t.checkListTarget(l, target); err != nil {
			return err
		}
		t.lists[i].target = target
		t.follow(l)
		return nil
	})
}

// DeletePrefixListRoute removes the route to a prefix list.
func (t *RouteTable) DeletePrefixListRoute(l *PrefixList) *RouteTable {
	t.tb().Helper()
	return t.editList(l, func() error {
		i := t.listRoute(l)
		if i < 0 {
			return refuse(codeRouteNotFound, "there is no route to %v", l)
		}
		t.lists = slices.Delete(t.lists, i, i+1)
		l.tables = slices.DeleteFunc(l.tables, func(o *RouteTable) bool { return o == t })
		t.follow(l)
		return nil
	})
}

// editList changes the table inside the scheduler.
func (t *RouteTable) editList(l *PrefixList, change func() error) *RouteTable {
	tb := t.tb()
	tb.Helper()
	var err error
	switch {
	case l == nil:
		err = refuse(codeParameterValue, "the route's prefix list is nil")
	case t.vpc == nil || l.region != t.vpc.region:
		err = refuse(codeParameterValue, "%v is a list of another region", l)
	default:
		t.world.Do(func(time.Duration) {
			if err = t.checkAlive(); err == nil {
				err = change()
			}
		})
	}
	if err != nil {
		tb.Fatalf("%v (%v)", err, t)
	}
	return t
}

func (t *RouteTable) listRoute(l *PrefixList) int {
	return slices.IndexFunc(t.lists, func(r listRoute) bool { return r.list == l })
}

// checkListTarget refuses a target that no route to one of the list's entries may have.
func (t *RouteTable) checkListTarget(l *PrefixList, target Target) error {
	if isNil(target) {
		return refuse(codeParameterValue, "the route to %v has no target", l)
	}
	for _, dst := range l.entries {
		if err := t.checkTarget(dst, target); err != nil {
			return err
		}
	}
	return t.checkTarget(netip.Prefix{}, target) // of a list without entries
}

// follow brings the table's routes into step with a list's entries.
func (t *RouteTable) follow(l *PrefixList) {
	t.set(slices.DeleteFunc(t.routes, func(r Route) bool { return r.List == l }))
	i := t.listRoute(l)
	if i < 0 {
		return
	}
	for _, dst := range l.entries {
		t.put(Route{Destination: dst, Target: t.lists[i].target, Origin: OriginPrefixList, List: l})
	}
}

package lbfake

// routing says how a target was chosen, or why none was.
type routing uint8

// The ways to a target. The zero routing is the safest: there is none.
const (
	noTargets routing = iota // nothing is registered
	allUnused                // what is registered is not in use
	noneReady                // what is registered is new or draining
	toHealthy                // one of those that are healthy
	failOpen                 // none is healthy, so all that are unhealthy serve
)

// found reports whether there is a target.
func (r routing) found() bool { return r == toHealthy || r == failOpen }

// String returns what an access log says of it.
func (r routing) String() string {
	switch r {
	case allUnused:
		return "all registered targets are unused"
	case noneReady:
		return "all registered targets are new, draining or unused"
	case toHealthy:
		return "healthy"
	case failOpen:
		return "no target is healthy, so all of them serve (fail open)"
	}
	return "no registered targets"
}

// choose picks one of a group's targets by round robin: turn counts the requests. It
// looks at the targets in the order of their registration and returns the index of the
// one chosen. Healthy targets are taken; with none healthy, the unhealthy ones, for a
// balancer that trusts nobody serves nobody; new and draining targets never. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
func choose(states []State, turn uint64) (int, routing) {
	count := map[State]uint64{}
	for _, s := range states {
		count[s]++
	}
	switch {
	case count[Healthy] > 0:
		return nth(states, Healthy, turn%count[Healthy]), toHealthy
	case count[Unhealthy] > 0:
		return nth(states, Unhealthy, turn%count[Unhealthy]), failOpen
	case len(states) == 0:
		return 0, noTargets
	case count[Unused] == uint64(len(states)):
		return 0, allUnused
	}
	return 0, noneReady
}

// nth returns where the n-th state that equals s is.
func nth(states []State, s State, n uint64) int {
	for i, other := range states {
		if other != s {
			continue
		}
		if n == 0 {
			return i
		}
		n--
	}
	return 0
}

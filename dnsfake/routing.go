package dnsfake

// FailoverRole says which half of a failover pair a record is. The zero role is Simple:
// no pair, and no health check has any effect.
type FailoverRole uint8

// The roles. Of a name and type there is one Simple set, or one of each other role.
const (
	Simple FailoverRole = iota
	Primary
	Secondary
)

// String returns the role as the API writes it, or "SIMPLE".
func (r FailoverRole) String() string {
	switch r {
	case Primary:
		return "PRIMARY"
	case Secondary:
		return "SECONDARY"
	}
	return "SIMPLE"
}

// choose returns the one of a group's sets that answers. group holds all sets of one
// name and type, and healthy is what is known of each; a set without a health check is
// healthy.
//
// Of a pair the primary answers, unless it is unhealthy and the secondary is not. If
// both are, Route 53 prefers a primary that might work to no answer at all. A half
// without its other half always answers.
func choose(group []*recordSet, healthy func(*recordSet) bool) *recordSet {
	first := group[0]
	if first.role == Simple || len(group) == 1 {
		return first
	}
	primary, secondary := first, group[1]
	if primary.role == Secondary {
		primary, secondary = secondary, primary
	}
	if !healthy(primary) && healthy(secondary) {
		return secondary
	}
	return primary
}

// maxAliasDepth ends an alias that was changed into pointing at itself.
const maxAliasDepth = 8

// healthy says what routing thinks of a set: its own health check, and for an alias
// with EvaluateTargetHealth the target's health, must both be good.
func (d *zoneData) healthy(s *recordSet, depth int) bool {
	if s.check != nil && !s.check.Healthy() {
		return false
	}
	if s.alias == nil || !s.alias.EvaluateTargetHealth {
		return true
	}
	target, ok := s.alias.Target.(*recordTarget)
	if !ok {
		return s.alias.Target.Healthy()
	}
	if depth >= maxAliasDepth {
		return false
	}
	// A group of records is healthy if at least one of its members is.
	for _, member := range d.group(target.name, s.typ) {
		if d.healthy(member, depth+1) {
			return true
		}
	}
	return false
}

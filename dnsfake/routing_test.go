package dnsfake

import "testing"

// API Failover; developer guide, "How Route 53 chooses records when health checking is
// configured".
func TestFailover(t *testing.T) {
	primary, secondary := &recordSet{role: Primary, id: "1"}, &recordSet{role: Secondary, id: "2"}
	simple := &recordSet{}
	for _, test := range []struct {
		group   []*recordSet
		healthy map[*recordSet]bool
		want    *recordSet
	}{
		// A healthy primary answers whatever the secondary is.
		{[]*recordSet{primary, secondary}, map[*recordSet]bool{primary: true, secondary: true}, primary},
		{[]*recordSet{primary, secondary}, map[*recordSet]bool{primary: true}, primary},
		// An unhealthy primary gives way to a healthy secondary; one without a health check is.
		{[]*recordSet{primary, secondary}, map[*recordSet]bool{secondary: true}, secondary},
		// If neither is healthy, the primary answers.
		{[]*recordSet{primary, secondary}, nil, primary},
		// The order of creation does not matter.
		{[]*recordSet{secondary, primary}, map[*recordSet]bool{secondary: true}, secondary},
		{[]*recordSet{secondary, primary}, nil, primary},
		// A half alone answers, healthy or not.
		{[]*recordSet{secondary}, nil, secondary},
		{[]*recordSet{primary}, nil, primary},
		// Health has no effect on a simple record.
		{[]*recordSet{simple}, nil, simple},
	} {
		if got := choose(test.group, func(s *recordSet) bool { return test.healthy[s] }); got != test.want {
			t.Errorf("of %d with %d healthy: %v %s answers, want %v %s", len(test.group), len(test.healthy), got.role, got.id, test.want.role, test.want.id)
		}
	}
}

func TestRoutingStrings(t *testing.T) {
	for role, want := range map[FailoverRole]string{Simple: "SIMPLE", Primary: "PRIMARY", Secondary: "SECONDARY"} {
		if role.String() != want {
			t.Errorf("%d is %v, want %s", uint8(role), role, want)
		}
	}
	for typ, want := range map[Type]string{A: "A", CNAME: "CNAME", CAA: "CAA", 65400: "TYPE65400"} {
		if typ.String() != want {
			t.Errorf("%d is %v, want %s", uint16(typ), typ, want)
		}
	}
	for p, want := range map[ProbeType]string{HTTP: "HTTP", HTTPS: "HTTPS", TCP: "TCP"} {
		if p.String() != want {
			t.Errorf("%d is %v, want %s", uint8(p), p, want)
		}
	}
}

package assert

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Source is who opens a conversation: a *netfake.Host, or what embeds one.
type Source interface {
	NetHost() *netfake.Host
}

// Requirement is something more that is required of a conversation: what Through,
// Path, BlockedBy and WithCode return.
type Requirement struct {
	text  string
	holds func(*netfake.Reach) bool
}

// Reachable fails the test unless somebody listens at to, a packet from there would
// reach it, the answer would come back, and every requirement holds. It takes no time.
func Reachable(t netfake.TB, from Source, to netfake.Endpoint, must ...Requirement) {
	t.Helper()
	r := probe(t, from, to)
	if r.Outcome != netfake.Answered {
		fail(t, from, r, "should be reachable")
		return
	}
	check(t, from, r, "is reachable", must)
}

// Unreachable fails the test if a conversation would succeed, or if it fails in a way
// that a requirement rules out. A port that refuses is unreachable too. It takes no
// time.
func Unreachable(t netfake.TB, from Source, to netfake.Endpoint, must ...Requirement) {
	t.Helper()
	r := probe(t, from, to)
	if r.Outcome == netfake.Answered {
		fail(t, from, r, "should not be reachable")
		return
	}
	check(t, from, r, "is not reachable", must)
}

// probe asks the network for a source, of which there must be one.
func probe(t netfake.TB, from Source, to netfake.Endpoint) *netfake.Reach {
	t.Helper()
	if from == nil || reflect.ValueOf(from).Kind() == reflect.Pointer && reflect.ValueOf(from).IsNil() {
		t.Fatalf("assert: there is no host that could talk with %v", to)
	}
	return from.NetHost().Probe(to)
}

func check(t netfake.TB, from Source, r *netfake.Reach, is string, must []Requirement) {
	t.Helper()
	for _, m := range must {
		if !m.holds(r) {
			fail(t, from, r, is+", but should be "+m.text)
		}
	}
}

func fail(t netfake.TB, from Source, r *netfake.Reach, what string) {
	t.Helper()
	h := from.NetHost()
	t.Errorf("%v → %v %s\n%s  %s", h, r.To, what, r, h.World().Replay())
}

// Through requires that the packet passes the components in this order on its way
// there, whatever else it passes.
func Through(components ...netfake.Component) Requirement {
	return Requirement{"through " + names(components), func(r *netfake.Reach) bool {
		rest := components
		for _, c := range r.Forward.Path() {
			if len(rest) > 0 && same(c, rest[0]) {
				rest = rest[1:]
			}
		}
		return len(rest) == 0
	}}
}

// Path requires that these components, and no others, decide about the packet on its
// way there, in this order. A failure prints the path that it took.
func Path(components ...netfake.Component) Requirement {
	return Requirement{"by the path " + names(components), func(r *netfake.Reach) bool {
		path := r.Forward.Path()
		if len(path) != len(components) {
			return false
		}
		for i := range path {
			if !same(path[i], components[i]) {
				return false
			}
		}
		return true
	}}
}

// BlockedBy requires that c is what decides against the conversation, on the way there
// or on the way back. Each of an interface's security groups does where none has a rule
// that matches.
func BlockedBy(c netfake.Component) Requirement {
	return Requirement{"blocked by " + names([]netfake.Component{c}), func(r *netfake.Reach) bool {
		b := r.Blocker()
		return b != nil && (same(b.By, c) || slices.ContainsFunc(b.Others, func(other netfake.Component) bool { return same(other, c) }))
	}}
}

// WithCode requires that the conversation is blocked with an explanation code, such as
// ENI_SG_RULES_MISMATCH.
func WithCode(code netfake.Code) Requirement {
	return Requirement{"blocked with " + string(code), func(r *netfake.Reach) bool {
		b := r.Blocker()
		return b != nil && b.Code == code
	}}
}

// OnTheWayBack requires that the packet arrives and that it is the answer which is
// lost.
func OnTheWayBack() Requirement {
	return Requirement{"blocked on the way back", func(r *netfake.Reach) bool {
		return r.Forward.Blocker() == nil && r.Return != nil && r.Return.Blocker() != nil
	}}
}

// same reports whether two components are one: an instance is the host that it embeds.
func same(a, b netfake.Component) bool { return unwrap(a) == unwrap(b) }

func unwrap(c netfake.Component) netfake.Component {
	if s, ok := c.(Source); ok {
		return s.NetHost()
	}
	return c
}

func names(components []netfake.Component) string {
	all := make([]string, len(components))
	for i, c := range components {
		if all[i] = "nothing"; c != nil {
			all[i] = c.String()
		}
	}
	return strings.Join(all, ", ")
}

// Equal fails the test unless got is want.
func Equal[T comparable](t netfake.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Poll is how often Eventually looks.
const Poll = 100 * time.Millisecond

// Eventually calls f every Poll until it returns nil, and returns how long that took.
// If f still fails when limit has passed, the test fails with f's last error.
func Eventually(t netfake.TB, limit time.Duration, f func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := f()
		took := time.Since(began)
		if err == nil {
			return took
		}
		if took >= limit {
			t.Errorf("after %v it is still so: %v", took, err)
			return took
		}
		time.Sleep(min(Poll, limit-took))
	}
}

// Within runs f and fails the test if it takes longer than limit, or returns an error.
// It returns how long f took.
func Within(t netfake.TB, limit time.Duration, f func() error) time.Duration {
	t.Helper()
	began := time.Now()
	err := f()
	took := time.Since(began)
	if err != nil {
		t.Errorf("after %v: %v", took, err)
	}
	if took > limit {
		t.Errorf("it took %v, and %v is allowed", took, limit)
	}
	return took
}

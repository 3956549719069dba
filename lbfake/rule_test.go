package lbfake

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The lowest priority that matches decides, and the default when none does.
func TestRoute(t *testing.T) {
	rule := func(priority int, conditions ...Condition) *Rule {
		return &Rule{priority: priority, conditions: conditions}
	}
	l := &Listener{balancer: &ApplicationLoadBalancer{}, rules: []*Rule{{}}}
	for _, r := range []*Rule{
		rule(20, PathPattern("/*")),
		rule(10, PathPattern("/api/*"), HostHeader("a.com")),
		rule(30, HostHeader("b.com")),
	} {
		if err := l.add(r); err != nil {
			t.Fatal(err)
		}
	}
	for url, want := range map[string]int{
		"http://a.com/api/x": 10, // both conditions
		"http://b.com/api/x": 20, // one condition is not enough
		"http://b.com":       20, // a path is never empty
	} {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		if got := route(l.rules, r); got.priority != want {
			t.Errorf("%s: %v, want rule %d", url, got, want)
		}
	}
	l.rules = l.rules[2:]
	r := httptest.NewRequest(http.MethodGet, "http://c.com/", nil)
	if got := route(l.rules, r); got.priority != 0 {
		t.Errorf("nothing matches: %v, want the default rule", got)
	}
}

package lbfake

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConditions(t *testing.T) {
	for _, row := range []struct {
		condition Condition
		method    string
		url       string
		want      bool
	}{
		// host-header: case does not count, nor does the port; * is any characters, ? one.
		{HostHeader("example.com"), "GET", "http://EXAMPLE.com:8080/", true},
		{HostHeader("Example.COM"), "GET", "http://example.com/", true},
		{HostHeader("*.example.com"), "GET", "http://a.b.example.com/", true},
		{HostHeader("*.example.com"), "GET", "http://example.com/", false},
		{HostHeader("ap?.example.com"), "GET", "http://api.example.com/", true},
		{HostHeader("ap?.example.com"), "GET", "http://ap.example.com/", false},
		// Of several values one must match.
		{HostHeader("a.com", "b.com"), "GET", "http://b.com/", true},
		{HostHeader("a.com", "b.com"), "GET", "http://c.com/", false},
		// path-pattern: case counts, the query does not.
		{PathPattern("/api/*"), "GET", "http://a.com/api/v1/users?x=1", true},
		{PathPattern("/api/*"), "GET", "http://a.com/API/v1", false},
		{PathPattern("/api/*"), "GET", "http://a.com/api", false},
		{PathPattern("/img/?.png"), "GET", "http://a.com/img/1.png", true},
		{PathPattern("/x*y=1"), "GET", "http://a.com/x?y=1", false},
		// The path is normalised; what is percent-encoded is no separator.
		{PathPattern("/admin/*"), "GET", "http://a.com/x/../admin/users", true},
		{PathPattern("/a/*"), "GET", "http://a.com/a%2Fb", false},
		{RequestMethod("GET", "HEAD"), "HEAD", "http://a.com/", true},
		{RequestMethod("GET", "HEAD"), "POST", "http://a.com/", false},
	} {
		r := httptest.NewRequest(row.method, row.url, nil)
		if got := row.condition.matches(r); got != row.want {
			t.Errorf("%v matches %s %s: %v, want %v", row.condition, row.method, row.url, got, row.want)
		}
		if err := row.condition.check(); err != nil && !strings.Contains(row.url, "y=1") {
			t.Errorf("%v: %v", row.condition, err)
		}
	}
}

func TestConditionValues(t *testing.T) {
	for _, bad := range []Condition{
		HostHeader(), HostHeader("nodot"), HostHeader("example.c0m"), HostHeader(strings.Repeat("a", 125) + ".com"),
		PathPattern(), PathPattern(""), PathPattern("/a b"), RequestMethod(), RequestMethod("get"),
	} {
		if bad.check() == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestWildcardAgainstRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab[.*?")), 0, 8, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab[.")), 0, 10, -1).Draw(t, "text")
		quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		if got, want := wildcard(pattern, text), regexp.MustCompile("^"+quoted+"$").MatchString(text); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}

package lbfake

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history judges a row of checks, + for passed and - for failed.
func history(results string, h HealthCheck) record {
	r := newRecord()
	for _, c := range results {
		o := outcome{}
		if c == '-' {
			o = timedOut()
		}
		r = judge(r, o, h)
	}
	return r
}

func TestJudge(t *testing.T) {
	byDefault, _ := HealthCheck{}.withDefaults()
	for _, row := range []struct {
		rule    string
		results string
		state   State
		reason  Reason
	}{
		{"a new target waits for its first check", "", Initial, RegistrationInProgress},
		{"the first passed check makes it healthy", "+", Healthy, ""},
		{"it has the unhealthy threshold to pass one", "-", Initial, InitialHealthChecking},
		{"one passed check suffices after a failed one", "-+", Healthy, ""},
		{"failing from the start", "--", Unhealthy, TargetTimeout},
		{"one failed check does not condemn", "+-", Healthy, ""},
		{"two in a row do", "+--", Unhealthy, TargetTimeout},
		{"two that are apart do not", "+-+-", Healthy, ""},
		{"four passed checks do not mend", "--++++", Unhealthy, TargetTimeout},
		{"five in a row do", "--+++++", Healthy, ""},
		{"five that are apart do not", "--++++-+", Unhealthy, TargetTimeout},
	} {
		if r := history(row.results, byDefault); r.state != row.state || r.reason != row.reason {
			t.Errorf("%s: %q gives %v %s, want %v %s", row.rule, row.results, r.state, r.reason, row.state, row.reason)
		}
	}
}

// naive finds the latest check that decided, by looking at the row's beginnings.
func naive(results string, h HealthCheck) State {
	condemned := strings.Repeat("-", h.UnhealthyThreshold)
	mended := strings.Repeat("+", h.HealthyThreshold)
	for end := len(results); end > 0; end-- {
		switch head := results[:end]; {
		case strings.HasSuffix(head, condemned):
			return Unhealthy
		case strings.HasSuffix(head, mended):
			return Healthy
		case strings.Index(head, "+") == end-1 && !strings.Contains(head, condemned):
			return Healthy // the first that passed, of a target that was new
		}
	}
	return Initial
}

func TestJudgeAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := HealthCheck{
			HealthyThreshold:   rapid.IntRange(2, 5).Draw(t, "healthy threshold"),
			UnhealthyThreshold: rapid.IntRange(2, 5).Draw(t, "unhealthy threshold"),
		}
		results := rapid.StringOfN(rapid.SampledFrom([]rune("+-")), 0, 40, -1).Draw(t, "results")
		if got, want := history(results, h).state, naive(results, h); got != want {
			t.Errorf("%q with %+v gives %v, want %v", results, h, got, want)
		}
	})
}

func TestMatcher(t *testing.T) {
	for _, row := range []struct {
		matcher string
		status  int
		want    bool
	}{
		{"200", 200, true}, {"200", 204, false},
		{"200,302", 302, true}, {"200,302", 301, false},
		{"200-299", 204, true}, {"200-299", 300, false},
		{"200, 400-499", 404, true},
	} {
		ranges, err := parseMatcher(row.matcher)
		if err != nil || matches(ranges, row.status) != row.want {
			t.Errorf("%q matches %d: %v, %v, want %v", row.matcher, row.status, !row.want, err, row.want)
		}
	}
	for _, bad := range []string{"", "99", "500", "200-", "300-200", "200,x", "100-200"} {
		if _, err := parseMatcher(bad); err == nil {
			t.Errorf("matcher %q was taken", bad)
		}
	}
}

func TestHealthCheckLimits(t *testing.T) {
	for _, row := range []struct {
		why string
		h   HealthCheck
		ok  bool
	}{
		{"defaults", HealthCheck{}, true},
		{"the shortest", HealthCheck{Interval: 5 * time.Second, Timeout: 2 * time.Second}, true},
		{"interval too short", HealthCheck{Interval: 4 * time.Second, Timeout: 2 * time.Second}, false},
		{"timeout too short", HealthCheck{Timeout: time.Second}, false},
		{"timeout as long as the interval", HealthCheck{Interval: 10 * time.Second, Timeout: 10 * time.Second}, false},
		{"threshold of one", HealthCheck{HealthyThreshold: 1}, false},
		{"threshold of eleven", HealthCheck{UnhealthyThreshold: 11}, false},
		{"relative path", HealthCheck{Path: "health"}, false},
		{"status of a server's fault", HealthCheck{Matcher: "503"}, false},
	} {
		if _, err := row.h.withDefaults(); (err == nil) != row.ok {
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

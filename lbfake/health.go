package lbfake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is the health of a target. The zero State is Unused.
type State uint8

// The states that an application load balancer's targets have.
const (
	Unused    State = iota // the target gets neither traffic nor checks
	Initial                // it is being registered and has not passed a check yet
	Healthy                // it gets traffic
	Unhealthy              // it gets traffic only when no target is healthy
	Draining               // it gets no new requests
)

// String returns the state as the API writes it.
func (s State) String() string {
	switch s {
	case Initial:
		return "initial"
	case Healthy:
		return "healthy"
	case Unhealthy:
		return "unhealthy"
	case Draining:
		return "draining"
	}
	return "unused"
}

// Reason is why a target is in its state. A healthy target has none, "".
type Reason string

// The reasons. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
const (
	RegistrationInProgress   Reason = "Elb.RegistrationInProgress"
	InitialHealthChecking    Reason = "Elb.InitialHealthChecking"
	ResponseCodeMismatch     Reason = "Target.ResponseCodeMismatch"
	TargetTimeout            Reason = "Target.Timeout"
	FailedHealthChecks       Reason = "Target.FailedHealthChecks"
	NotRegistered            Reason = "Target.NotRegistered"
	NotInUse                 Reason = "Target.NotInUse"
	DeregistrationInProgress Reason = "Target.DeregistrationInProgress"
)

// The defaults of a HealthCheck. Source: the page above.
const (
	DefaultHealthPath         = "/"
	DefaultHealthInterval     = 30 * time.Second
	DefaultHealthTimeout      = 5 * time.Second
	DefaultHealthyThreshold   = 5
	DefaultUnhealthyThreshold = 2
	DefaultHealthMatcher      = "200"
)

// HealthCheck says how a group's targets are checked: by a GET over HTTP, from every
// node of the load balancer, to the port that gets the traffic. The zero HealthCheck
// is the real service's default.
type HealthCheck struct {
	Path     string        // if "", DefaultHealthPath
	Interval time.Duration // between two checks, 5 s to 300 s; if 0, DefaultHealthInterval
	Timeout  time.Duration // of one, 2 s to 120 s, less than Interval; if 0, DefaultHealthTimeout

	HealthyThreshold   int // checks passed in a row that mend an unhealthy target, 2 to 10; if 0, 5
	UnhealthyThreshold int // checks failed in a row that condemn one, 2 to 10; if 0, 2

	// Matcher is the statuses that pass, within 200 and 499: "200", "200,302" or
	// "200-399". If "", DefaultHealthMatcher.
	Matcher string
}

// withDefaults returns the check with what is zero filled in, or the API's refusal.
func (h HealthCheck) withDefaults() (HealthCheck, error) {
	h.Path = orDefault(h.Path, DefaultHealthPath)
	h.Interval = orDefault(h.Interval, DefaultHealthInterval)
	h.Timeout = orDefault(h.Timeout, DefaultHealthTimeout)
	h.HealthyThreshold = orDefault(h.HealthyThreshold, DefaultHealthyThreshold)
	h.UnhealthyThreshold = orDefault(h.UnhealthyThreshold, DefaultUnhealthyThreshold)
	h.Matcher = orDefault(h.Matcher, DefaultHealthMatcher)
	_, err := parseMatcher(h.Matcher)
	switch {
	case err != nil:
	case h.Path[0] != '/' || len(h.Path) > 1024:
		err = refuse(codeValidation, "health check path %q must begin with / and have at most 1024 characters", h.Path)
	case !within(h.Interval, 5*time.Second, 300*time.Second):
		err = refuse(codeValidation, "health check interval %v is not within 5s and 300s", h.Interval)
	case !within(h.Timeout, 2*time.Second, 120*time.Second):
		err = refuse(codeValidation, "health check timeout %v is not within 2s and 120s", h.Timeout)
	case h.Timeout >= h.Interval:
		err = refuse(codeValidation, "health check interval %v must be greater than the timeout %v", h.Interval, h.Timeout)
	case !withinInt(h.HealthyThreshold, 2, 10) || !withinInt(h.UnhealthyThreshold, 2, 10):
		err = refuse(codeValidation, "health check thresholds %d and %d are not within 2 and 10", h.HealthyThreshold, h.UnhealthyThreshold)
	}
	return h, err
}

func withinInt(n, least, most int) bool { return least <= n && n <= most }

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// outcome is the result of one check. The zero outcome is a check that passed.
type outcome struct {
	reason Reason // "" for a check that passed
	text   string
}

func (o outcome) passed() bool { return o.reason == "" }

// mismatch is the outcome of a check that was answered with a wrong status.
func mismatch(status int) outcome {
	return outcome{ResponseCodeMismatch, fmt.Sprintf("Health checks failed with these codes: [%d]", status)}
}

// The outcomes of checks that were not answered.
func timedOut() outcome { return outcome{TargetTimeout, "Request timed out"} }
func failed() outcome   { return outcome{FailedHealthChecks, "Health checks failed"} }

// record is what a node remembers of a target's checks.
type record struct {
	state  State
	reason Reason
	text   string
	run    int  // how many of the latest checks ended alike
	passed bool // how they ended
}

// newRecord returns the record of a target that has just been registered.
func newRecord() record {
	return record{state: Initial, reason: RegistrationInProgress, text: "Target registration is in progress"}
}

// judge returns a record after one more check. The first check that a new target
// passes makes it healthy, whatever the threshold; after that it takes a run of equal
// results as long as the threshold to change sides. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
func judge(r record, o outcome, h HealthCheck) record {
	if r.passed != o.passed() {
		r.run = 0
	}
	r.run++
	r.passed = o.passed()
	switch {
	case r.passed && (r.state == Initial || r.run >= h.HealthyThreshold):
		r.state, r.reason, r.text = Healthy, "", ""
	case !r.passed && r.run >= h.UnhealthyThreshold:
		r.state, r.reason, r.text = Unhealthy, o.reason, o.text
	case r.state == Initial:
		r.reason, r.text = InitialHealthChecking, "Initial health checks in progress"
	}
	return r
}

// statusRange is a part of a matcher.
type statusRange struct{ from, to int }

// parseMatcher reads "200", "200,202" or "200-299".
func parseMatcher(s string) ([]statusRange, error) {
	var ranges []statusRange
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || low < 200 || high > 499 || low > high {
			return nil, refuse(codeValidation, "health check codes %q are not within '200-499'", s)
		}
		ranges = append(ranges, statusRange{low, high})
	}
	return ranges, nil
}

// matches reports whether a status is among the ranges.
func matches(ranges []statusRange, status int) bool {
	return slices.ContainsFunc(ranges, func(r statusRange) bool { return r.from <= status && status <= r.to })
}

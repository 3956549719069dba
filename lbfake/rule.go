package lbfake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Rule is a listener's rule: what becomes of the requests that match all its
// conditions.
type Rule struct {
	listener   *Listener
	priority   int // 0 is the default rule
	conditions []Condition
	action     Action
}

// The limits of rules. Source: as maxRules, and
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
const (
	maxPriority        = 50000
	maxConditionValues = 3
	maxRuleValues      = 5
)

// Rule adds a rule, which is asked before those with a higher priority number and
// before the default. A priority that another rule has fails the test with
// PriorityInUse; one that is not within 1 and 50000, no conditions or too many values in
// them, with ValidationError.
func (l *Listener) Rule(priority int, action Action, conditions ...Condition) *Rule {
	b := l.balancer
	b.world.TB().Helper()
	r := &Rule{listener: l, priority: priority, conditions: conditions, action: action}
	err := r.check()
	if err == nil {
		err = l.take(action)
	}
	if err == nil {
		err = l.add(r)
	}
	if err != nil {
		b.world.TB().Fatalf("%v (%v, %v)", err, l, r)
	}
	return r
}

func (r *Rule) check() error {
	if !withinInt(r.priority, 1, maxPriority) {
		return refuse(codeValidation, "priority %d is not within 1 and %d", r.priority, maxPriority)
	}
	if len(r.conditions) == 0 {
		return refuse(codeValidation, "A condition must be specified")
	}
	total := 0
	kinds := map[string]bool{}
	for _, c := range r.conditions {
		if err := c.check(); err != nil {
			return err
		}
		if kinds[c.field()] {
			return refuse(codeValidation, "a rule has one condition %s at most", c.field())
		}
		kinds[c.field()] = true
		if c.size() > maxConditionValues {
			return refuse(codeValidation, "%v has %d values, and %d are allowed", c, c.size(), maxConditionValues)
		}
		total += c.size()
	}
	if total > maxRuleValues {
		return refuse(codeValidation, "the rule's conditions have %d values, and %d are allowed", total, maxRuleValues)
	}
	return nil
}

func (l *Listener) add(r *Rule) error {
	b := l.balancer
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(l.rules, func(o *Rule) bool { return o.priority == r.priority }) {
		return refuse(codePriorityInUse, "Priority '%d' is currently in use", r.priority)
	}
	all := 0
	for _, o := range b.listeners {
		all += len(o.rules) - 1
	}
	if all >= maxRules {
		return refuse(codeTooManyRules, "%v has %d rules", b, maxRules)
	}
	rules := append(slices.Clone(l.rules), r)
	slices.SortStableFunc(rules, func(a, b *Rule) int { return a.order() - b.order() })
	l.rules = rules
	return nil
}

// order puts the default rule last.
func (r *Rule) order() int {
	if r.priority == 0 {
		return maxPriority + 1
	}
	return r.priority
}

// String returns "rule 10 path-pattern is /api/*", or "default rule".
func (r *Rule) String() string {
	if r.priority == 0 {
		return "default rule"
	}
	texts := make([]string, len(r.conditions))
	for i, c := range r.conditions {
		texts[i] = fmt.Sprint(c)
	}
	return fmt.Sprintf("rule %d %s", r.priority, strings.Join(texts, " and "))
}

// Delete takes the rule out of its listener.
func (r *Rule) Delete() {
	b := r.listener.balancer
	b.mu.Lock()
	i := slices.Index(r.listener.rules, r)
	if i >= 0 {
		r.listener.rules = slices.Delete(slices.Clone(r.listener.rules), i, i+1)
	}
	b.mu.Unlock()
	if i >= 0 {
		r.release()
	}
}

// release gives up the use of the group that the rule forwards to.
func (r *Rule) release() {
	if g := r.action.forwards(); g != nil {
		g.release()
	}
}

// route returns the first rule that a request matches. The last rule, the default one,
// has no conditions and matches everything.
func route(rules []*Rule, r *http.Request) *Rule {
	for _, rule := range rules {
		if rule.matches(r) {
			return rule
		}
	}
	return nil
}

// matches reports whether a request meets all conditions.
func (r *Rule) matches(req *http.Request) bool {
	for _, c := range r.conditions {
		if !c.matches(req) {
			return false
		}
	}
	return true
}

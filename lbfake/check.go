package lbfake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// checkerAgent is how a health check presents itself. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
const checkerAgent = "ELB-HealthChecker/2.0"

// check is one node's checking of one target.
type check struct {
	target *target
	view   *view
	ctx    context.Context // ends when the target is no longer checked
}

// begin makes a target new: it is to be checked by every node of the load balancer
// that uses the group, if there is one that serves the target's zone. The caller holds
// g.mu, and runs what is returned once it does not.
func (g *TargetGroup) begin(t *target) []check {
	if g.balancer == nil || t.draining {
		return nil
	}
	t.unused = g.balancer.nodeIn(t.zone) == nil
	if t.unused {
		return nil
	}
	checks := make([]check, len(g.balancer.nodes))
	for i, n := range g.balancer.nodes {
		ctx, stop := context.WithCancel(context.Background())
		v := &view{node: n, record: newRecord(), stop: stop}
		t.views = append(t.views, v)
		checks[i] = check{t, v, ctx}
	}
	return checks
}

// end stops the checks of a target. The caller holds g.mu.
func (g *TargetGroup) end(t *target) {
	for _, v := range t.views {
		v.stop()
	}
	t.views, t.unused = nil, false
}

// run starts checks. They end with the world if nothing ends them before.
func (g *TargetGroup) run(checks []check) {
	for _, c := range checks {
		began := time.Now()
		g.world.Go(func(world context.Context) {
			defer c.view.stop()
			defer context.AfterFunc(world, c.view.stop)()
			g.loop(c, began)
		})
	}
}

// loop checks a target at every multiple of the interval since its beginning. How long
// a check takes, which is less than the interval, does not move the next one.
func (g *TargetGroup) loop(c check, began time.Time) {
	for next := began.Add(g.cfg.HealthCheck.Interval); ; next = next.Add(g.cfg.HealthCheck.Interval) {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			timer.Stop()
			return
		}
		g.report(c, g.try(c))
	}
}

// report enters the result of a check, unless the target is no longer checked.
func (g *TargetGroup) report(c check, o outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	before := c.view.record
	c.view.record = judge(before, o, g.cfg.HealthCheck)
	if c.view.record.state != before.state {
		g.notify()
	}
}

// try makes one check: a GET on a connection of its own. The Host header is the
// target's address, with its port unless it is HTTP's. Redirects are not followed.
func (g *TargetGroup) try(c check) outcome {
	ctx, cancel := context.WithTimeout(c.ctx, g.cfg.HealthCheck.Timeout)
	defer cancel()
	addr := c.target.addr
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+g.cfg.HealthCheck.Path, nil)
	if err != nil {
		return failed()
	}
	if addr.Port() == 80 {
		r.Host = addr.Addr().String()
	}
	r.Header.Set("User-Agent", checkerAgent)
	resp, err := c.view.node.checker.RoundTrip(r)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut()
	case err != nil:
		return failed()
	case !matches(g.matcher, resp.StatusCode):
		return mismatch(resp.StatusCode)
	}
	return outcome{}
}

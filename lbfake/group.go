package lbfake

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// DefaultDeregistrationDelay is how long a target drains. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
const DefaultDeregistrationDelay = 300 * time.Second

// NoDeregistrationDelay makes a target leave at once, and with it its requests.
const NoDeregistrationDelay time.Duration = -1

// TargetGroupConfig shapes a target group.
type TargetGroupConfig struct {
	// Port is where targets get their traffic unless they are registered with
	// another. If 0, 80.
	Port uint16

	// HealthCheck is how targets are checked. Zero is the real service's default.
	HealthCheck HealthCheck

	// DeregistrationDelay is how long a target that was deregistered may finish its
	// requests, up to 3600 s. If 0, DefaultDeregistrationDelay.
	DeregistrationDelay time.Duration
}

// TargetGroup is a set of targets behind a load balancer: instances with a port, and
// what the load balancer's nodes think of their health. It is checked, and gets
// traffic, while a listener or a rule of a load balancer forwards to it. All methods
// are safe for concurrent use.
type TargetGroup struct {
	vpc     *fabricfake.VPC
	name    string
	cfg     TargetGroupConfig
	world   *netfake.World
	matcher []statusRange

	mu       sync.Mutex
	balancer *ApplicationLoadBalancer // that uses the group, nil if none does
	uses     int                      // how many of its actions forward here
	targets  []*target                // in the order of their registration
	changed  chan struct{}            // closed when a state has changed
}

// NewTargetGroup makes a target group for instances of a VPC. A name that is malformed or that the region has
// already (DuplicateTargetGroupName) fails the test, as does a health check or a delay
// out of its range (ValidationError). A nil VPC panics.
func NewTargetGroup(vpc *fabricfake.VPC, name string, cfg TargetGroupConfig) *TargetGroup {
	if vpc == nil {
		panic("lbfake: NewTargetGroup of no VPC")
	}
	w := vpc.World()
	w.TB().Helper()
	g := &TargetGroup{name: name, world: w, vpc: vpc, changed: make(chan struct{})}
	err := checkName("target group", name)
	if err == nil {
		g.cfg, err = cfg.withDefaults()
	}
	if err == nil {
		g.matcher, err = parseMatcher(g.cfg.HealthCheck.Matcher)
	}
	if err == nil {
		err = reserve(w, codeDuplicateGroup, "target group", vpc.Region().Name(), name)
	}
	if err != nil {
		w.TB().Fatalf("%v", err)
	}
	return g
}

func (c TargetGroupConfig) withDefaults() (TargetGroupConfig, error) {
	c.Port = orDefault(c.Port, 80)
	c.DeregistrationDelay = orDefault(c.DeregistrationDelay, DefaultDeregistrationDelay)
	if c.DeregistrationDelay == NoDeregistrationDelay {
		c.DeregistrationDelay = 0
	}
	if !within(c.DeregistrationDelay, 0, 3600*time.Second) {
		return c, refuse(codeValidation, "deregistration_delay.timeout_seconds: %v is not within 0s and 3600s", c.DeregistrationDelay)
	}
	var err error
	c.HealthCheck, err = c.HealthCheck.withDefaults()
	return c, err
}

// Name returns the group's name.
func (g *TargetGroup) Name() string { return g.name }

// String returns "target group name".
func (g *TargetGroup) String() string { return "target group " + g.name }

// target is an instance's port in a group.
type target struct {
	name string
	addr netip.AddrPort
	zone string

	views    []*view // one for each node that checks the target, none while it is unused
	unused   bool    // the load balancer does not serve the target's zone
	draining bool
	round    int // how many times the target has been deregistered
	flights  map[*flight]bool
}

// view is what one node thinks of a target.
type view struct {
	node   *node
	record record
	stop   context.CancelFunc
}

// Register adds an instance to the group, with the group's port or with others of its
// own. What is registered already stays as it is; a target that drains comes back as a
// new one. No instance, or one of another VPC, fails the test with InvalidTarget.
func (g *TargetGroup) Register(i *fabricfake.Instance, ports ...uint16) *TargetGroup {
	g.world.TB().Helper()
	g.mustBe(i)
	f := i.Interface()
	if f.VPC() != g.vpc {
		g.world.TB().Fatalf("%v", refuse(codeInvalidTarget, "%s is in vpc %v, %v in %v", i.Name(), f.VPC(), g, g.vpc))
	}
	for _, addr := range g.addrs(i, ports) {
		g.register(i.Name(), addr, f.Subnet().Zone())
	}
	return g
}

// mustBe fails the test if there is no instance.
func (g *TargetGroup) mustBe(i *fabricfake.Instance) {
	g.world.TB().Helper()
	if i == nil {
		g.world.TB().Fatalf("%v", refuse(codeInvalidTarget, "there is no instance that could be a target of %v", g))
	}
}

// addrs returns the ports of an instance that a caller means.
func (g *TargetGroup) addrs(i *fabricfake.Instance, ports []uint16) []netip.AddrPort {
	if len(ports) == 0 {
		ports = []uint16{g.cfg.Port}
	}
	var addrs []netip.AddrPort
	for _, port := range ports {
		addrs = append(addrs, netip.AddrPortFrom(i.Interface().PrivateIP(), port))
	}
	return addrs
}

func (g *TargetGroup) register(name string, addr netip.AddrPort, zone string) {
	g.mu.Lock()
	t := g.find(addr)
	if t == nil {
		t = &target{name: name, addr: addr, zone: zone, flights: map[*flight]bool{}}
		g.targets = append(g.targets, t)
	} else if !t.draining {
		g.mu.Unlock()
		return
	}
	t.draining = false
	checks := g.begin(t)
	g.notify()
	g.mu.Unlock()
	g.run(checks)
}

func (g *TargetGroup) find(addr netip.AddrPort) *target {
	for _, t := range g.targets {
		if t.addr == addr {
			return t
		}
	}
	return nil
}

// Deregister takes an instance out of the group, with the group's port or with others
// of its own. It gets no new requests; those that it works on have the deregistration
// delay to end, and are answered with 502 when it is over. A target that is not
// registered fails the test with InvalidTarget.
func (g *TargetGroup) Deregister(i *fabricfake.Instance, ports ...uint16) *TargetGroup {
	g.world.TB().Helper()
	g.mustBe(i)
	for _, addr := range g.addrs(i, ports) {
		if !g.deregister(addr) {
			g.world.TB().Fatalf("%v", refuse(codeInvalidTarget, "%s %v is not registered with %v", i.Name(), addr, g))
		}
	}
	return g
}

func (g *TargetGroup) deregister(addr netip.AddrPort) bool {
	g.mu.Lock()
	t := g.find(addr)
	if t == nil || t.draining {
		g.mu.Unlock()
		return false
	}
	served := len(t.views) > 0
	g.end(t)
	t.draining = true
	g.notify()
	t.round++
	round := t.round
	if !served || g.cfg.DeregistrationDelay == 0 {
		g.mu.Unlock()
		g.leave(t, round)
		return true
	}
	timer := time.AfterFunc(g.cfg.DeregistrationDelay, func() { g.leave(t, round) })
	g.mu.Unlock()
	g.world.OnClose(func() { timer.Stop() })
	return true
}

// leave ends a target's draining, unless it has come back meanwhile.
func (g *TargetGroup) leave(t *target, round int) {
	g.mu.Lock()
	if !t.draining || t.round != round {
		g.mu.Unlock()
		return
	}
	for i, other := range g.targets {
		if other == t {
			g.targets = append(g.targets[:i:i], g.targets[i+1:]...)
			break
		}
	}
	cut := make([]*flight, 0, len(t.flights))
	for f := range t.flights {
		cut = append(cut, f)
	}
	g.notify()
	g.mu.Unlock()
	for _, f := range cut {
		f.cancel(errDrained)
	}
}

// notify tells those who wait that a state has changed. The caller holds g.mu.
func (g *TargetGroup) notify() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// use makes a load balancer serve the group, once for each action that forwards to it.
func (g *TargetGroup) use(b *ApplicationLoadBalancer) error {
	g.mu.Lock()
	if g.balancer != nil && g.balancer != b {
		defer g.mu.Unlock()
		return refuse(codeAssociation, "%v is used by %v already, and a group serves one load balancer", g, g.balancer)
	}
	g.uses++
	var checks []check
	if g.balancer == nil {
		g.balancer = b
		for _, t := range g.targets {
			checks = append(checks, g.begin(t)...)
		}
		g.notify()
	}
	g.mu.Unlock()
	g.run(checks)
	return nil
}

// release takes one use back. A group without any is checked no more.
func (g *TargetGroup) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.uses--; g.uses > 0 {
		return
	}
	for _, t := range g.targets {
		g.end(t)
	}
	g.balancer = nil
	g.notify()
}

// flight is a request on its way to a target.
type flight struct {
	group  *TargetGroup
	target *target
	cancel context.CancelCauseFunc
}

// send chooses a target for a request at a node and notes that the request is with it
// until land is called. Without a target it returns nil and why.
func (g *TargetGroup) send(n *node, turn uint64, cancel context.CancelCauseFunc) (*flight, routing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	states := make([]State, len(g.targets))
	for i, t := range g.targets {
		states[i] = t.stateAt(n)
	}
	i, why := choose(states, turn)
	if !why.found() {
		return nil, why
	}
	f := &flight{g, g.targets[i], cancel}
	f.target.flights[f] = true
	return f, why
}

func (f *flight) land() {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	delete(f.target.flights, f)
}

// stateAt returns a target's state in the eyes of one node.
func (t *target) stateAt(n *node) State {
	if t.draining {
		return Draining
	}
	for _, v := range t.views {
		if v.node == n {
			return v.record.state
		}
	}
	return Unused
}

// WaitInService waits until the group is in use and all its targets are healthy, as
// the command "aws elbv2 wait target-in-service" does. It returns an error with the
// targets' health if ctx ends before.
func (g *TargetGroup) WaitInService(ctx context.Context) error {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		table := g.Health()
		if inService(table) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("lbfake: %v is not in service: %w\n%s", g, context.Cause(ctx), healthLines(table))
		}
	}
}

func inService(table []TargetHealth) bool {
	for _, h := range table {
		if h.State != Healthy {
			return false
		}
	}
	return len(table) > 0
}

func healthLines(table []TargetHealth) string {
	if len(table) == 0 {
		return "no targets are registered"
	}
	lines := make([]string, len(table))
	for i, h := range table {
		lines[i] = h.String()
	}
	return strings.Join(lines, "\n")
}

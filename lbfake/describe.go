package lbfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/fabricfake"
)

// TargetHealth is a line of a group's table of health, as DescribeTargetHealth gives
// it.
type TargetHealth struct {
	Name        string // the instance's
	Addr        netip.AddrPort
	Zone        string
	State       State
	Reason      Reason // "" for a healthy target
	Description string // the reason in words

	// Nodes is what each node of the load balancer sees. Where they disagree, the
	// line has the worst.
	Nodes []NodeHealth
}

// NodeHealth is a target's health in the eyes of one node.
type NodeHealth struct {
	Zone        string // the node's
	State       State
	Reason      Reason
	Description string
}

// String returns "app 10.0.1.5:8080 unhealthy Target.Timeout: Request timed out".
func (h TargetHealth) String() string {
	s := fmt.Sprintf("%s %v %v", h.Name, h.Addr, h.State)
	if h.Reason != "" {
		s += fmt.Sprintf(" %s: %s", h.Reason, h.Description)
	}
	return s
}

// Health returns the health of the targets, in the order of their registration; those
// that drain are among them.
func (g *TargetGroup) Health() []TargetHealth {
	g.mu.Lock()
	defer g.mu.Unlock()
	table := make([]TargetHealth, len(g.targets))
	for i, t := range g.targets {
		table[i] = g.describe(t)
	}
	return table
}

// HealthOf returns the health of one instance's port; without a port, the group's. What
// is not registered is unused.
func (g *TargetGroup) HealthOf(i *fabricfake.Instance, ports ...uint16) TargetHealth {
	g.world.TB().Helper()
	g.mustBe(i)
	addr := g.addrs(i, ports)[0]
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.find(addr); t != nil {
		return g.describe(t)
	}
	return TargetHealth{
		Name: i.Name(), Addr: addr, Zone: i.Interface().Subnet().Zone(),
		Reason: NotRegistered, Description: "Target is not registered to the target group",
	}
}

// severity orders the states in which nodes may see a target, the worst last.
var severity = map[State]int{Healthy: 1, Initial: 2, Unhealthy: 3}

func (g *TargetGroup) describe(t *target) TargetHealth {
	h := TargetHealth{Name: t.name, Addr: t.addr, Zone: t.zone}
	for _, v := range t.views {
		r := v.record
		h.Nodes = append(h.Nodes, NodeHealth{v.node.zone, r.state, r.reason, r.text})
		if severity[r.state] > severity[h.State] {
			h.State, h.Reason, h.Description = r.state, r.reason, r.text
		}
	}
	switch {
	case t.draining:
		h.State, h.Reason, h.Description = Draining, DeregistrationInProgress, "Target deregistration is in progress"
	case g.balancer == nil:
		h.Reason, h.Description = NotInUse, "Target group is not configured to receive traffic from the load balancer"
	case t.unused:
		h.Reason, h.Description = NotInUse, "Target is in an Availability Zone that is not enabled for the load balancer"
	}
	return h
}

// counts returns how many targets a group has, and how many of them a node sees
// healthy; a nil node stands for all of them together.
func (g *TargetGroup) counts(n *node) (registered, healthy int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.targets {
		registered++
		for _, v := range t.views {
			if (n == nil || v.node == n) && v.record.state == Healthy {
				healthy++
				break
			}
		}
	}
	return registered, healthy
}

package gatewayfake_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// plan is a random world of three VPCs with an instance each, of which the third may have the
// addresses of the first, as an oracle reads it.
type plan struct {
	block  [3]int // the VPC has 10.block.0.0/16
	status [3]gatewayfake.PeeringStatus
	wanted [3]bool    // whether there is a peering, of the pair that lacks the VPC of this number
	end    [3]bool    // whether it is deleted in the end
	routes [3][3]int  // by VPC and block: to the peering of this number, -1 for none
	rule   [3]rule    // what lets others in
	shut   [3][2]bool // whether the ACL denies: ingress, egress
}

// rule is what a group admits: 0 nothing, 1 a block, 2 the group of a VPC.
type rule struct{ kind, of int }

// pair returns the two VPCs of a peering.
func pair(pcx int) (a, b int) { return (pcx + 1) % 3, (pcx + 2) % 3 }

// other returns the VPC at the other end of a peering, -1 for one that is at neither.
func other(pcx, vpc int) int {
	switch a, b := pair(pcx); vpc {
	case a:
		return b
	case b:
		return a
	}
	return -1
}

func drawPlan(t *rapid.T) *plan {
	p := &plan{block: [3]int{0, 1, rapid.SampledFrom([]int{2, 2, 0}).Draw(t, "block of the third")}}
	for n := range 3 {
		p.wanted[n] = rapid.IntRange(0, 15).Draw(t, "no peering") < 15
		if p.wanted[n] && rapid.IntRange(0, 15).Draw(t, "not accepted") < 15 {
			p.status[n] = gatewayfake.PeeringActive
		}
		p.end[n] = rapid.IntRange(0, 15).Draw(t, "deleted") == 15
		if a, b := pair(n); p.block[a] == p.block[b] {
			p.wanted[n] = false
		}
	}
	for v := range 3 {
		for block := range 3 {
			p.routes[v][block] = -1
			pcx := rapid.IntRange(-1, 2).Draw(t, "route")
			if rapid.IntRange(0, 15).Draw(t, "strange route") < 12 {
				pcx = p.toward(v, block)
			}
			if block != p.block[v] && pcx >= 0 && p.wanted[pcx] && other(pcx, v) >= 0 {
				p.routes[v][block] = pcx
			}
		}
		p.rule[v] = rule{2 - rapid.IntRange(0, 2).Draw(t, "rule"), (v + 1 + rapid.IntRange(0, 2).Draw(t, "of")) % 3}
		if p.rule[v].kind == 2 && !p.mayName(v, p.rule[v].of) {
			p.rule[v].kind = 1
		}
		p.shut[v] = [2]bool{rapid.IntRange(0, 15).Draw(t, "ingress") == 15, rapid.IntRange(0, 15).Draw(t, "egress") == 15}
	}
	return p
}

// toward returns a peering that leads from a VPC to one with a block, -1 if there is none.
func (p *plan) toward(v, block int) int {
	for n := range 3 {
		if to := other(n, v); to >= 0 && p.wanted[n] && p.block[to] == block {
			return n
		}
	}
	return -1
}

// mayName reports whether rules of a VPC may name the group of another when they are made.
func (p *plan) mayName(v, of int) bool {
	pcx := 3 - v - of
	return v == of || p.wanted[pcx] && p.status[pcx] == gatewayfake.PeeringActive
}

// leads returns the VPC in which a packet from an instance to the one with a block ends up, -1
// for none.
func (p *plan) leads(from, block int) int {
	if p.block[from] == block {
		return from
	}
	pcx := p.routes[from][block]
	if p.shut[from][1] || pcx < 0 || p.status[pcx] != gatewayfake.PeeringActive || p.end[pcx] {
		return -1
	}
	if to := other(pcx, from); p.block[to] == block && !p.shut[to][0] {
		return to
	}
	return -1
}

// answers reports whether one VPC's instance gets an answer from the address of another's.
func (p *plan) answers(from, block int) bool {
	to := p.leads(from, block)
	if to < 0 || to == from {
		return to == from
	}
	switch r := p.rule[to]; {
	case r.kind == 0 || r.kind == 1 && p.block[from] != p.block[r.of] || r.kind == 2 && r.of != from:
		return false
	}
	return p.leads(to, p.block[from]) == from
}

// build makes the world of the plan.
func (p *plan) build(t *rapid.T, w *netfake.World) (hosts [3]*fabricfake.Instance, pcxs [3]*gatewayfake.Peering) {
	var vpcs [3]*fabricfake.VPC
	var groups [3]*fabricfake.SecurityGroup
	cidr := func(block int) string { return fmt.Sprintf("10.%d.0.0/16", block) }
	for v := range 3 {
		vpcs[v] = fabricfake.NewVPC(w, fmt.Sprint("v", v), cidr(p.block[v]))
		groups[v] = vpcs[v].SecurityGroup("g")
	}
	for n := range 3 {
		if a, b := pair(n); p.wanted[n] {
			pcxs[n] = gatewayfake.NewPeering(vpcs[a], vpcs[b], fmt.Sprint("pcx", n))
			if p.status[n] == gatewayfake.PeeringActive {
				pcxs[n].Accept()
			}
		}
	}
	for v := range 3 {
		s := vpcs[v].Subnet("s", fmt.Sprintf("10.%d.1.0/24", p.block[v]), "a")
		for block, pcx := range p.routes[v] {
			if pcx >= 0 {
				s.Route(cidr(block), pcxs[pcx])
			}
		}
		switch r := p.rule[v]; r.kind {
		case 1:
			groups[v].AllowIngress("tcp/9", fabricfake.CIDR(cidr(p.block[r.of])))
		case 2:
			groups[v].AllowIngress("tcp/9", groups[r.of])
		}
		if p.shut[v][0] {
			vpcs[v].DefaultNetworkACL().DenyIngress(1, "all", "0.0.0.0/0")
		}
		if p.shut[v][1] {
			vpcs[v].DefaultNetworkACL().DenyEgress(1, "all", "0.0.0.0/0")
		}
		hosts[v] = s.Instance(fmt.Sprint("i", v), fabricfake.InstanceConfig{Groups: fabricfake.Groups{groups[v]}})
		if _, err := hosts[v].Listen("tcp", ":9"); err != nil {
			t.Fatal(err)
		}
	}
	return hosts, pcxs
}

// Whoever peers with whom, with whatever routes, rules and entries: an instance reaches another
// exactly when the oracle says so, and nobody's frame is taken for forged.
func TestPeeringAgainstOracle(t *testing.T) {
	reached, not := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		rapid.SyncTest(t, func(t *rapid.T) {
			w := netfake.New(t, netfake.Config{Seed: 1})
			defer w.Close()
			hosts, pcxs := p.build(t, w)
			for n, pcx := range pcxs {
				if pcx != nil && p.end[n] {
					pcx.Delete()
				}
			}
			for from := range 3 {
				for to := range 3 {
					if from == to || p.block[from] == p.block[to] {
						continue
					}
					want := p.answers(from, p.block[to])
					if want {
						reached++
					} else {
						not++
					}
					r := hosts[from].Probe(hosts[to].TCP(9))
					if got := r.Outcome == netfake.Answered; got != want {
						t.Fatalf("%+v: v%d reaches %v: %v, the oracle says %v\n%v", p, from, hosts[to].Addr(), got, want, r)
					}
					d := netfake.Dialer{Host: hosts[from].Host, Timeout: 500 * time.Millisecond}
					if c, err := d.DialContext(t.Context(), "tcp", hosts[to].TCP(9).Addr.String()); (err == nil) != want {
						t.Fatalf("%+v: v%d dials %v: %v, the oracle says %v", p, from, hosts[to].Addr(), err, want)
					} else if err == nil {
						c.Close()
					}
				}
			}
			if alarms := w.Alarms(); len(alarms) > 0 {
				t.Fatalf("%+v: %v", p, alarms)
			}
		})
	})
	if reached+not > 300 && (reached < 10 || not < 10) {
		t.Errorf("%d reached, %d not", reached, not)
	}
}

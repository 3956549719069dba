package fabricfake_test

import (
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// estate is instances on hosts in racks in zones, in one VPC that lets everything in.
type estate struct {
	vpc   *fabricfake.VPC
	in    map[string]*fabricfake.Subnet // by zone
	racks map[string]*fabricfake.Rack
	on    map[string]*fabricfake.Instance // by where they are
	open  fabricfake.Groups
}

// newEstate makes instances a11 and a12 in rack a1, a2 in rack a2 and a3 on a host without a
// rack, all in zone a, and b1 in zone b.
func newEstate(w *netfake.World) *estate {
	e := &estate{vpc: fabricfake.NewVPC(w, "prod", "10.0.0.0/16"), racks: map[string]*fabricfake.Rack{}, in: map[string]*fabricfake.Subnet{}, on: map[string]*fabricfake.Instance{}}
	r := e.vpc.Region()
	e.open = fabricfake.Groups{e.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
	for _, name := range []string{"a1", "a2", "b1"} {
		e.racks[name] = r.Rack(name, name[:1])
	}
	e.in["a"], e.in["b"] = e.vpc.Subnet("a", "10.0.0.0/24", "a"), e.vpc.Subnet("b", "10.0.1.0/24", "b")
	e.launch("a11", e.racks["a1"].PhysicalHost("host a11"))
	e.launch("a12", e.racks["a1"].PhysicalHost("host a12"))
	e.launch("a2", e.racks["a2"].PhysicalHost("host a2"))
	e.launch("a3", r.PhysicalHost("host a3", "a"))
	e.launch("b1", e.racks["b1"].PhysicalHost("host b1"))
	return e
}

func (e *estate) launch(name string, on *fabricfake.PhysicalHost) {
	e.on[name] = e.in[on.Zone()].Instance(name, fabricfake.InstanceConfig{On: on, Groups: e.open})
}

// dark returns which instances a probe from the observer finds silent.
func (e *estate) dark(observer string) string {
	var silent []string
	for _, name := range []string{"a11", "a12", "a2", "a3", "a13", "b1"} {
		if to := e.on[name]; to != nil && name != observer && e.on[observer].Probe(to.TCP(80)).Outcome == netfake.Silence {
			silent = append(silent, name)
		}
	}
	return strings.Join(silent, " ")
}

// A failure takes down what is inside of what fails, and nothing else, for as long as it
// lasts; it counts what ran into it.
func TestRacksAndZonesFail(t *testing.T) {
	for _, row := range []struct {
		what string
		fail func(e *estate) *netfake.Fault
		want string // who is silent, as b1 sees it
		by   func(e *estate) netfake.Component
		rule string
	}{
		{"failure of host a11", func(e *estate) *netfake.Fault { return e.on["a11"].Interface().PhysicalHost().Fail() }, "a11",
			func(e *estate) netfake.Component { return e.on["a11"].Interface().PhysicalHost() }, "the physical host is down"},
		{"failure of rack a1", func(e *estate) *netfake.Fault { return e.racks["a1"].Fail() }, "a11 a12",
			func(e *estate) netfake.Component { return e.racks["a1"] }, "the rack is down"},
		{"failure of zone a of ap-southeast-2", func(e *estate) *netfake.Fault { return e.vpc.Region().Zone("a").Fail() }, "a11 a12 a2 a3",
			func(e *estate) netfake.Component { return e.vpc.Region().Zone("a") }, "the zone is down"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			e := newEstate(w)
			if got := e.dark("b1"); got != "" {
				t.Errorf("before: %q is silent", got)
			}
			f := row.fail(e)
			if got := e.dark("b1"); got != row.want || f.String() != row.what {
				t.Errorf("%v: %q is silent, want %q", f, got, row.want)
			}
			b := e.on["b1"].Probe(e.on["a11"].TCP(80)).Blocker()
			if b.By != row.by(e) || b.Rule != row.rule || b.Code != "BAD_STATE" {
				t.Errorf("%v: blocked by %v", f, b)
			}
			if f.Hits() != 0 {
				t.Errorf("%v: probes count as %d hits", f, f.Hits())
			}
			if outcome, _, err := call(w, e.on["b1"].Host, e.on["a11"].UDP(9)); outcome != netfake.Silence || err != nil || f.Hits() == 0 {
				t.Errorf("%v: %v, %v, %d hits", f, outcome, err, f.Hits())
			}
			f.Undo()
			if got := e.dark("b1"); got != "" {
				t.Errorf("%v, undone: %q is silent", f, got)
			}
		})
	}
}

// Failures of a zone, a rack and a host add up; each is repaired by itself.
func TestOutagesAddUp(t *testing.T) { netfake.Run(t, testOutagesAddUp) }

func testOutagesAddUp(t *testing.T, w *netfake.World) {
	e := newEstate(w)
	zone, rack, host := e.vpc.Region().Zone("a"), e.racks["a1"], e.on["a11"].Interface().PhysicalHost()
	host.Fail()
	zone.Fail()
	rack.Fail()
	rack.Fail()
	e.launch("a13", rack.PhysicalHost("host a13")) // in the midst of it
	for _, step := range []struct {
		repair func()
		want   string
	}{
		{func() {}, "a11 a12 a2 a3 a13"},
		{zone.Repair, "a11 a12 a13"},
		{rack.Repair, "a11"},
		{host.Repair, ""},
	} {
		step.repair()
		if got := e.dark("b1"); got != step.want {
			t.Errorf("%q is silent, want %q", got, step.want)
		}
	}
}

// A region's building blocks tell where they stand.
func TestWhereHostsStand(t *testing.T) { netfake.Run(t, testWhereHostsStand) }

func testWhereHostsStand(t *testing.T, w *netfake.World) {
	e := newEstate(w)
	k := e.racks["a1"]
	if k.Name() != "a1" || k.Zone() != "a" || len(k.PhysicalHosts()) != 2 || k.PhysicalHosts()[1] != e.on["a12"].Interface().PhysicalHost() {
		t.Errorf("rack %v in %s with %v", k, k.Zone(), k.PhysicalHosts())
	}
	if h := e.on["a12"].Interface().PhysicalHost(); h.Rack() != k || h.Zone() != "a" {
		t.Errorf("%v stands in %v, %s", h, h.Rack(), h.Zone())
	}
	if h := e.on["a3"].Interface().PhysicalHost(); h.Rack() != nil {
		t.Errorf("%v stands in %v", h, h.Rack())
	}
	if z := e.vpc.Region().Zone("b"); z.Name() != "b" || z.String() != "zone b of ap-southeast-2" {
		t.Errorf("zone %v", z)
	}
}

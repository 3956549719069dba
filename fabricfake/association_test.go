package fabricfake_test

import (
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A subnet has the table that it is associated with, else the main one, whichever that is.
func TestAssociations(t *testing.T) { netfake.Run(t, testAssociations) }

func testAssociations(t *testing.T, w *netfake.World) {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	s, other := v.Subnet("s", "10.0.1.0/24", "a"), v.Subnet("other", "10.0.2.0/24", "a")
	first, one, two := v.MainRouteTable(), v.RouteTable("one"), v.RouteTable("two")
	for _, row := range []struct {
		what             string
		do               func()
		want, wantOfMain *fabricfake.RouteTable
	}{
		// fact: rtb.main
		{"none", func() {}, first, first},
		// fact: rtb.one
		{"associated", func() { s.Associate(one) }, one, first},
		// fact: rtb.one
		{"another in its place", func() { s.Associate(two) }, two, first},
		// fact: rtb.main.replace
		{"another main table, which concerns the subnets without one", func() { v.SetMainRouteTable(one) }, two, one},
		// fact: rtb.main.replace
		{"no longer associated", func() { s.Disassociate() }, one, one},
		{"the first main table again", func() { v.SetMainRouteTable(first) }, first, first},
		{"twice", func() { v.SetMainRouteTable(first); s.Disassociate() }, first, first},
	} {
		row.do()
		if s.RouteTable() != row.want || other.RouteTable() != row.wantOfMain || v.MainRouteTable() != row.wantOfMain {
			t.Errorf("%s: the subnets have %v and %v, main is %v", row.what, s.RouteTable(), other.RouteTable(), v.MainRouteTable())
		}
	}
}

// What a table is in use for keeps it, and what a table is for excludes other uses.
func TestTableUses(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(x *tables)
		want string // "": accepted
	}{
		{"deleting a table", func(x *tables) { x.one.Delete() }, ""},
		{"its name again", func(x *tables) { x.one.Delete(); x.subnet.Associate(x.vpc.RouteTable("one")) }, ""},
		// fact: rtb.main.delete
		{"the main table", func(x *tables) { x.vpc.MainRouteTable().Delete() }, "DependencyViolation: it is the main table"},
		// fact: rtb.main.replace
		{"one that was main", func(x *tables) { was := x.vpc.MainRouteTable(); x.vpc.SetMainRouteTable(x.one); was.Delete() }, ""},
		{"one that became main", func(x *tables) { x.vpc.SetMainRouteTable(x.one); x.one.Delete() }, "DependencyViolation"},
		// fact: rtb.delete
		{"that of a subnet", func(x *tables) { x.subnet.Associate(x.one); x.one.Delete() }, "DependencyViolation: the subnet s is associated with it"},
		// fact: rtb.delete
		{"one that was a subnet's", func(x *tables) { x.subnet.Associate(x.one).Disassociate(); x.one.Delete() }, ""},
		{"that of a gateway", func(x *tables) { x.edge.Associate(x.one); x.one.Delete() }, "DependencyViolation: the gateway"},
		{"one that was a gateway's", func(x *tables) { x.edge.Associate(x.one); x.edge.Disassociate(); x.one.Delete() }, ""},
		{"one whose place another took", func(x *tables) { x.edge.Associate(x.one); x.edge.Associate(x.two); x.one.Delete() }, ""},
		{"twice", func(x *tables) { x.one.Delete(); x.one.Delete() }, "InvalidRouteTableID.NotFound: rtb one was deleted"},
		{"a route of one that is gone", func(x *tables) { x.one.Delete(); x.one.Route("192.168.0.0/16", x.app) }, "InvalidRouteTableID.NotFound"},
		{"a prefix list's", func(x *tables) { x.one.Delete(); x.one.RoutePrefixList(x.list, x.app) }, "InvalidRouteTableID.NotFound"},
		{"one with a prefix list, which grows then", func(x *tables) {
			x.one.RoutePrefixList(x.list, x.app).Delete()
			x.list.Add("198.51.100.0/24")
		}, ""},
		{"a subnet with it", func(x *tables) { x.one.Delete(); x.subnet.Associate(x.one) }, "rtb one is no route table of vpc prod"},
		{"a VPC with it", func(x *tables) { x.one.Delete(); x.vpc.SetMainRouteTable(x.one) }, "rtb one is no route table of vpc prod"},
		{"another VPC's as main", func(x *tables) { x.vpc.SetMainRouteTable(x.theirs) }, "rtb theirs is no route table of vpc prod"},
		{"no table as main", func(x *tables) { x.vpc.SetMainRouteTable(nil) }, "is no route table of vpc prod"},

		// Gateway tables: local, an interface; the blocks of the VPC and its subnets.
		// fact: rtb.gateway.attach
		{"a gateway's", func(x *tables) { x.edge.Associate(x.one) }, ""},
		{"another VPC's for a gateway", func(x *tables) { x.edge.Associate(x.theirs) }, "rtb theirs is no route table of vpc prod"},
		// fact: rtb.gateway.attach
		{"the main table for a gateway", func(x *tables) { x.edge.Associate(x.vpc.MainRouteTable()) }, "is the main table, and cannot be a gateway's"},
		{"a gateway's as main", func(x *tables) { x.edge.Associate(x.one); x.vpc.SetMainRouteTable(x.one) }, "is the table of the gateway"},
		// fact: rtb.gateway.attach
		{"a subnet's for a gateway", func(x *tables) { x.subnet.Associate(x.one); x.edge.Associate(x.one) }, "is the table of the subnet s"},
		// fact: rtb.gateway.attach
		{"a gateway's for a subnet", func(x *tables) { x.edge.Associate(x.one); x.subnet.Associate(x.one) }, "is the table of the gateway"},
		{"what was a gateway's for a subnet", func(x *tables) { x.edge.Associate(x.one); x.edge.Disassociate(); x.subnet.Associate(x.one) }, ""},
		// fact: rtb.gateway.destinations, rtb.gateway.targets
		{"a subnet's block to an interface", func(x *tables) { x.one.Route("10.0.1.0/24", x.app); x.edge.Associate(x.one) }, ""},
		{"the same, afterwards", func(x *tables) { x.edge.Associate(x.one); x.one.Route("10.0.1.0/24", x.app) }, ""},
		{"a subnet's block of IPv6", func(x *tables) { x.edge.Associate(x.one); x.one.Route(x.subnet.CIDRs()[1].String(), x.app) }, ""},
		// fact: rtb.gateway.targets
		{"the VPC's block to an interface and back", func(x *tables) {
			x.edge.Associate(x.one)
			x.one.ReplaceRoute("10.0.0.0/16", x.app).ReplaceRoute("10.0.0.0/16", fabricfake.Local)
		}, ""},
		// fact: rtb.gateway.destinations
		{"a block outside", func(x *tables) { x.one.Route("192.168.0.0/16", x.app); x.edge.Associate(x.one) }, "192.168.0.0/16 is not the block of the VPC or of a subnet"},
		{"the same, afterwards", func(x *tables) { x.edge.Associate(x.one); x.one.Route("0.0.0.0/0", x.app) }, "0.0.0.0/0 is not the block of the VPC or of a subnet"},
		// fact: rtb.gateway.targets
		{"another target", func(x *tables) { x.one.Route("10.0.1.0/24", &throughInterface{x.app}); x.edge.Associate(x.one) }, "is no target for the table of a gateway"},
		{"the same, afterwards", func(x *tables) { x.edge.Associate(x.one); x.one.Route("10.0.1.0/24", &throughInterface{x.app}) }, "is no target for the table of a gateway"},
		{"the same, in the place of local", func(x *tables) { x.edge.Associate(x.one); x.one.ReplaceRoute("10.0.0.0/16", &throughInterface{x.app}) }, "is no target"},
		// fact: rtb.gateway.destinations
		{"a prefix list", func(x *tables) { x.one.RoutePrefixList(x.list, x.app); x.edge.Associate(x.one) }, "a gateway's table has no prefix lists"},
		{"the same, afterwards", func(x *tables) { x.edge.Associate(x.one); x.one.RoutePrefixList(x.list, x.app) }, "has no prefix lists"},
		// fact: rtb.gateway.destinations
		{"propagated routes", func(x *tables) { x.one.EnablePropagation(x.vgw); x.edge.Associate(x.one) }, "propagates to rtb one"},
		{"the same, afterwards", func(x *tables) { x.edge.Associate(x.one); x.one.EnablePropagation(x.vgw) }, "nothing is propagated to the table of the gateway"},
		{"those of another table", func(x *tables) { x.edge.Associate(x.one); x.two.EnablePropagation(x.vgw) }, ""},

		// An interface as the target of a subnet's route.
		{"another VPC's interface", func(x *tables) { x.theirs.Route("192.168.0.0/16", x.app) }, "belong to different networks"},
		{"no interface", func(x *tables) { x.one.Route("192.168.0.0/16", (*fabricfake.Interface)(nil)) }, "has no target"},
		// fact: rtb.specific
		{"half a subnet's block", func(x *tables) { x.one.Route("10.0.1.0/25", x.app) }, "more specific than 10.0.0.0/16 → local"},
	} {
		text := fatal(t, func(w *netfake.World) { row.do(newTables(w)) })
		if (row.want == "") != (text == "") || !strings.Contains(text, row.want) {
			t.Errorf("%s: %q, want %q", row.name, text, row.want)
		}
	}
}

// tables are two tables of a VPC, and what they may be used for and lead to.
type tables struct {
	vpc              *fabricfake.VPC
	subnet           *fabricfake.Subnet
	app              *fabricfake.Interface
	one, two, theirs *fabricfake.RouteTable
	edge             *fabricfake.Edge
	list             *fabricfake.PrefixList
	vgw              *fabricfake.Propagation
}

func newTables(w *netfake.World) *tables {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
	s := v.Subnet("s", "10.0.1.0/24", "a").AddIPv6("")
	app := s.Instance("app", fabricfake.InstanceConfig{}).Interface()
	return &tables{
		vpc: v, subnet: s, app: app, one: v.RouteTable("one"), two: v.RouteTable("two"),
		theirs: fabricfake.NewVPC(w, "test", "10.0.0.0/16").RouteTable("theirs"),
		edge:   fabricfake.NewEdge(v, "gateway", swallow{}),
		list:   v.Region().PrefixList("offices", 3, "203.0.113.0/24"),
		vgw:    fabricfake.NewPropagation(v, app),
	}
}

package fabricfake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What is in use cannot be deleted, and what is not can, once: what was deleted is not found
// any more.
func TestDelete(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(x *deletable)
		want string // "": accepted
	}{
		{"a group", func(x *deletable) { x.web.Delete() }, ""},
		// fact: sg.default.delete
		{"the default group", func(x *deletable) { x.vpc.DefaultSecurityGroup().Delete() }, "CannotDelete"},
		// fact: sg.delete
		{"a group that an interface has", func(x *deletable) { x.app.SetGroups(fabricfake.Groups{x.web}); x.web.Delete() },
			"DependencyViolation: the interface of app has the group (sg web)"},
		// fact: sg.delete
		{"one that none has any more", func(x *deletable) {
			x.app.SetGroups(fabricfake.Groups{x.web})
			x.app.SetGroups(fabricfake.Groups{x.db})
			x.web.Delete()
		}, ""},
		// fact: sg.delete
		{"a group that a rule names", func(x *deletable) { x.db.AllowIngress("tcp/5432", x.web); x.web.Delete() },
			"DependencyViolation: a rule of sg db names the group (sg web)"},
		{"a group that a rule of the other direction names", func(x *deletable) { x.db.AllowEgress("tcp/5432", x.web); x.web.Delete() }, "DependencyViolation"},
		// fact: sg.delete
		{"one that none names any more", func(x *deletable) {
			x.db.AllowIngress("tcp/5432", x.web).RevokeIngress("tcp/5432", x.web)
			x.web.Delete()
		}, ""},
		{"a group that names itself", func(x *deletable) { x.web.AllowIngress("tcp/5432", x.web).Delete() }, ""},
		// fact: code.notfound.group
		{"a group twice", func(x *deletable) { x.web.Delete(); x.web.Delete() }, "InvalidGroup.NotFound: sg web was deleted"},
		{"a rule of a group that is gone", func(x *deletable) { x.web.Delete(); x.web.AllowIngress("tcp/80", fabricfake.Anywhere) }, "InvalidGroup.NotFound"},
		{"a rule that names it", func(x *deletable) { x.web.Delete(); x.db.AllowIngress("tcp/80", x.web) }, "InvalidGroup.NotFound"},
		{"an interface with it", func(x *deletable) { x.web.Delete(); x.app.SetGroups(fabricfake.Groups{x.web}) }, "InvalidGroup.NotFound"},
		{"its name again", func(x *deletable) {
			x.web.Delete()
			x.vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)
		}, ""},

		{"an ACL", func(x *deletable) { x.acl.Delete() }, ""},
		// fact: acl.subnet
		{"the default ACL", func(x *deletable) { x.vpc.DefaultNetworkACL().Delete() }, "InvalidParameterValue: a VPC keeps its default network ACL"},
		{"an ACL of a subnet", func(x *deletable) { x.subnet.UseACL(x.acl); x.acl.Delete() }, "DependencyViolation: the subnet s has the ACL (acl border)"},
		{"one that it has no more", func(x *deletable) {
			x.subnet.UseACL(x.acl).UseACL(x.vpc.DefaultNetworkACL())
			x.acl.Delete()
		}, ""},
		{"an ACL twice", func(x *deletable) { x.acl.Delete(); x.acl.Delete() }, "InvalidNetworkAclID.NotFound: acl border was deleted"},
		{"an entry of an ACL that is gone", func(x *deletable) { x.acl.Delete(); x.acl.AllowIngress(1, "all", "0.0.0.0/0") }, "InvalidNetworkAclID.NotFound"},
		{"removing one", func(x *deletable) { x.acl.AllowIngress(1, "all", "0.0.0.0/0").Delete(); x.acl.RemoveIngress(1) }, "InvalidNetworkAclID.NotFound"},
		{"a subnet with it", func(x *deletable) { x.acl.Delete(); x.subnet.UseACL(x.acl) }, "acl border is no ACL of vpc prod"},
		{"its name again", func(x *deletable) { x.acl.Delete(); x.subnet.UseACL(x.vpc.NetworkACL("border")) }, ""},
	} {
		text := fatal(t, func(w *netfake.World) { row.do(newDeletable(w)) })
		if (row.want == "") != (text == "") || !strings.Contains(text, row.want) {
			t.Errorf("%s: %q, want %q", row.name, text, row.want)
		}
	}
}

// deletable is a VPC with something of everything that can be deleted.
type deletable struct {
	vpc     *fabricfake.VPC
	subnet  *fabricfake.Subnet
	app     *fabricfake.Interface
	web, db *fabricfake.SecurityGroup
	acl     *fabricfake.NetworkACL
	table   *fabricfake.RouteTable
}

func newDeletable(w *netfake.World) *deletable {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	s := v.Subnet("s", "10.0.1.0/24", "a")
	return &deletable{
		vpc: v, subnet: s, app: s.Instance("app", fabricfake.InstanceConfig{}).Interface(),
		web: v.SecurityGroup("web"), db: v.SecurityGroup("db"), acl: v.NetworkACL("border"), table: v.RouteTable("private"),
	}
}

// A subnet can be deleted when no interface is in it any more, and what it had is free then.
func TestDeleteSubnet(t *testing.T) {
	empty := func(x *deletable) *fabricfake.Subnet { x.app.Instance().ForceTerminate(); return x.subnet }
	for _, row := range []struct {
		name string
		do   func(x *deletable)
		want string // "": accepted
	}{
		// fact: subnet.delete
		{"one with an instance", func(x *deletable) { x.subnet.Delete() }, "DependencyViolation: the interface of app is in it (subnet s of vpc prod)"},
		// fact: subnet.delete
		{"one whose instance is stopped", func(x *deletable) { x.app.Instance().ForceStop(); x.subnet.Delete() }, "DependencyViolation"},
		// fact: subnet.delete
		{"one whose instance is terminated", func(x *deletable) { empty(x).Delete() }, ""},
		{"one with an interface of nobody", func(x *deletable) { empty(x).Interface("spare", fabricfake.InterfaceConfig{}); x.subnet.Delete() }, "DependencyViolation: the interface of spare"},
		{"one where it is deleted", func(x *deletable) {
			empty(x).Interface("spare", fabricfake.InterfaceConfig{}).Delete()
			x.subnet.Delete()
		}, ""},
		{"one with a service", func(x *deletable) { empty(x).Appliance("nat", &sink{}); x.subnet.Delete() }, "DependencyViolation: the interface of nat"},
		{"one where it is withdrawn", func(x *deletable) { empty(x).Appliance("nat", &sink{}).Withdraw(); x.subnet.Delete() }, ""},
		{"one beside one with an instance", func(x *deletable) { x.vpc.Subnet("two", "10.0.2.0/24", "a").Delete() }, ""},
		{"one twice", func(x *deletable) { empty(x).Delete(); x.subnet.Delete() }, "InvalidSubnetID.NotFound: the subnet s of vpc prod was deleted"},

		// What it had.
		{"its name and its block again", func(x *deletable) { empty(x).Delete(); x.vpc.Subnet("s", "10.0.0.0/16", "b") }, ""},
		{"its IPv6 block again", func(x *deletable) {
			block := empty(x.withIPv6()).CIDRs()[1]
			x.subnet.Delete()
			x.vpc.Subnet("two", "10.0.2.0/24", "a").AddIPv6(block.String())
		}, ""},
		{"the VPC's block that it was in", func(x *deletable) {
			x.vpc.AddCIDR("10.1.0.0/16").Subnet("two", "10.1.0.0/24", "a").Delete()
			x.vpc.RemoveCIDR("10.1.0.0/16")
		}, ""},
		{"its table", func(x *deletable) { empty(x).Associate(x.table).Delete(); x.table.Delete() }, ""},
		{"its ACL", func(x *deletable) { empty(x).UseACL(x.acl).Delete(); x.acl.Delete() }, ""},

		// What can be done with it no longer.
		{"an instance in it", func(x *deletable) { x.gone().Instance("i", fabricfake.InstanceConfig{}) }, "InvalidSubnetID.NotFound"},
		{"an interface", func(x *deletable) { x.gone().Interface("i", fabricfake.InterfaceConfig{}) }, "InvalidSubnetID.NotFound"},
		{"a service", func(x *deletable) { x.gone().Appliance("nat", &sink{}) }, "InvalidSubnetID.NotFound"},
		{"a route", func(x *deletable) { x.gone().Route("10.9.0.0/16", fabricfake.Local) }, "InvalidSubnetID.NotFound"},
		{"a table", func(x *deletable) { x.gone().Associate(x.table) }, "InvalidSubnetID.NotFound"},
		{"the main table", func(x *deletable) { x.gone().Disassociate() }, "InvalidSubnetID.NotFound"},
		{"an ACL", func(x *deletable) { x.gone().UseACL(x.acl) }, "InvalidSubnetID.NotFound"},
		{"an IPv6 block", func(x *deletable) { x.withIPv6(); x.gone().AddIPv6("") }, "InvalidSubnetID.NotFound"},
		{"public addresses", func(x *deletable) { x.gone().AutoAssignPublicIP(fabricfake.AutoAssignOn) }, "InvalidSubnetID.NotFound"},
		{"a flow log", func(x *deletable) { x.gone().FlowLog("log", fabricfake.FlowLogConfig{}) }, "InvalidSubnetID.NotFound"},
	} {
		text := fatal(t, func(w *netfake.World) { row.do(newDeletable(w)) })
		if (row.want == "") != (text == "") || !strings.Contains(text, row.want) {
			t.Errorf("%s: %q, want %q", row.name, text, row.want)
		}
	}
}

// A VPC can be deleted when it has nothing but what it came with.
func TestDeleteVPC(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(x *deletable)
		want string // "": accepted
	}{
		// fact: vpc.delete
		{"one with all", func(x *deletable) { x.vpc.Delete() }, "DependencyViolation: it still has the subnet s (vpc prod)"},
		// fact: vpc.delete, vpc.delete.default
		{"one with nothing of its own", func(x *deletable) { x.bare().Delete() }, ""},
		// fact: vpc.delete
		{"one with a subnet", func(x *deletable) { x.bare().Subnet("two", "10.0.2.0/24", "a"); x.vpc.Delete() }, "it still has the subnet two"},
		{"one where that is deleted", func(x *deletable) { x.bare().Subnet("two", "10.0.2.0/24", "a").Delete(); x.vpc.Delete() }, ""},
		// fact: vpc.delete
		{"one with a gateway", func(x *deletable) { x.bare().AttachGateway("igw"); x.vpc.Delete() }, "it still has the internet gateway igw"},
		{"one where that is detached", func(x *deletable) { x.bare().AttachGateway("igw"); x.vpc.DetachGateway("igw"); x.vpc.Delete() }, ""},
		// fact: vpc.delete
		{"one with a group", func(x *deletable) { x.bare().SecurityGroup("web"); x.vpc.Delete() }, "it still has sg web"},
		// fact: vpc.delete
		{"one with an ACL", func(x *deletable) { x.bare().NetworkACL("border"); x.vpc.Delete() }, "it still has acl border"},
		// fact: vpc.delete
		{"one with a table", func(x *deletable) { x.bare().RouteTable("t"); x.vpc.Delete() }, "it still has rtb t"},
		{"one whose main table is another", func(x *deletable) { x.bare().SetMainRouteTable(x.vpc.RouteTable("t")); x.vpc.Delete() }, "it still has rtb main of prod"},
		{"one where that is deleted", func(x *deletable) {
			first := x.bare().MainRouteTable()
			x.vpc.SetMainRouteTable(x.vpc.RouteTable("t"))
			first.Delete()
			x.vpc.Delete()
		}, ""},
		{"one with blocks, routes and rules", func(x *deletable) {
			x.bare().AddCIDR("10.1.0.0/16").AddIPv6("").DefaultSecurityGroup().AllowIngress("tcp/80", fabricfake.Anywhere)
			x.vpc.Delete()
		}, ""},
		{"one twice", func(x *deletable) { x.bare().Delete(); x.vpc.Delete() }, "InvalidVpcID.NotFound: vpc prod was deleted"},

		// What it had.
		{"its name and its block again", func(x *deletable) { x.bare().Delete(); fabricfake.NewVPC(x.vpc.World(), "prod", "10.0.0.0/16") }, ""},
		{"its IPv6 block again", func(x *deletable) {
			x.bare().AddIPv6("2001:db8::/56").Delete()
			fabricfake.NewVPC(x.vpc.World(), "two", "10.0.0.0/16").AddIPv6("2001:db8::/56")
		}, ""},
		{"the default VPC again", func(x *deletable) {
			v := fabricfake.NewDefaultVPC(x.vpc.Region())
			for _, zone := range []string{"a", "b", "c"} {
				v.DefaultSubnet(zone).Delete()
			}
			v.Delete()
			fabricfake.NewDefaultVPC(x.vpc.Region()).DefaultSubnet("a")
		}, ""},

		// fact: vpc.delete.default
		// What went with it.
		{"a rule of its default group", func(x *deletable) { x.bare().Delete(); x.vpc.DefaultSecurityGroup().RestrictEgress() }, "InvalidGroup.NotFound"},
		{"an entry of its default ACL", func(x *deletable) { x.bare().Delete(); x.vpc.DefaultNetworkACL().DenyIngress(1, "all", "0.0.0.0/0") }, "InvalidNetworkAclID.NotFound"},
		{"its main table", func(x *deletable) { x.bare().Delete(); x.vpc.MainRouteTable().Delete() }, "InvalidRouteTableID.NotFound"},

		// What can be done with it no longer.
		{"a subnet", func(x *deletable) { x.bare().Delete(); x.vpc.Subnet("s", "10.0.1.0/24", "a") }, "InvalidVpcID.NotFound"},
		{"its default subnet", func(x *deletable) { x.bare().Delete(); x.vpc.DefaultSubnet("a") }, "InvalidVpcID.NotFound"},
		{"a group", func(x *deletable) { x.bare().Delete(); x.vpc.SecurityGroup("web") }, "InvalidVpcID.NotFound"},
		{"an ACL", func(x *deletable) { x.bare().Delete(); x.vpc.NetworkACL("border") }, "InvalidVpcID.NotFound"},
		{"a table", func(x *deletable) { x.bare().Delete(); x.vpc.RouteTable("t") }, "InvalidVpcID.NotFound"},
		{"another main table", func(x *deletable) { x.bare().Delete(); x.vpc.SetMainRouteTable(x.vpc.MainRouteTable()) }, "InvalidVpcID.NotFound"},
		{"a gateway", func(x *deletable) { x.bare().Delete(); x.vpc.AttachGateway("igw") }, "InvalidVpcID.NotFound"},
		{"a peering", func(x *deletable) {
			x.bare().Delete()
			fabricfake.NewPeering(fabricfake.NewVPC(x.vpc.World(), "two", "10.1.0.0/16"), x.vpc)
		}, "InvalidVpcID.NotFound"},
		{"a block", func(x *deletable) { x.bare().Delete(); x.vpc.AddCIDR("10.1.0.0/16") }, "InvalidVpcID.NotFound"},
		{"a block less", func(x *deletable) { x.bare().AddCIDR("10.1.0.0/16").Delete(); x.vpc.RemoveCIDR("10.1.0.0/16") }, "InvalidVpcID.NotFound"},
		{"one of IPv6", func(x *deletable) { x.bare().Delete(); x.vpc.AddIPv6("") }, "InvalidVpcID.NotFound"},
		{"DHCP options", func(x *deletable) { x.bare().Delete(); x.vpc.SetDHCPOptions(fabricfake.DHCPOptions{}) }, "InvalidVpcID.NotFound"},
		{"host names", func(x *deletable) { x.bare().Delete(); x.vpc.EnableDNSHostnames() }, "InvalidVpcID.NotFound"},
		{"a resolver", func(x *deletable) { x.bare().Delete(); x.vpc.AttachResolver(x.vpc.World().NewHost("r", x.vpc.Place())) }, "InvalidVpcID.NotFound"},
		{"an edge", func(x *deletable) { x.bare().Delete(); fabricfake.NewEdge(x.vpc, "edge", swallow{}) }, "InvalidVpcID.NotFound"},
		{"a flow log", func(x *deletable) { x.bare().Delete(); x.vpc.FlowLog("log", fabricfake.FlowLogConfig{}) }, "InvalidVpcID.NotFound"},
	} {
		text := fatal(t, func(w *netfake.World) { row.do(newDeletable(w)) })
		if (row.want == "") != (text == "") || !strings.Contains(text, row.want) {
			t.Errorf("%s: %q, want %q", row.name, text, row.want)
		}
	}
}

// withIPv6 gives the VPC and its subnet a block of IPv6.
func (x *deletable) withIPv6() *deletable {
	x.vpc.AddIPv6("")
	x.subnet.AddIPv6("")
	return x
}

// gone returns the subnet, which was deleted.
func (x *deletable) gone() *fabricfake.Subnet {
	x.app.Instance().ForceTerminate()
	x.subnet.Delete()
	return x.subnet
}

// bare returns the VPC, which has nothing any more but what it came with.
func (x *deletable) bare() *fabricfake.VPC {
	x.gone()
	x.web.Delete()
	x.db.Delete()
	x.acl.Delete()
	x.table.Delete()
	return x.vpc
}

// Frames of a VPC that was deleted are believed by nobody, not even where another one has its
// block.
func TestFramesOfADeletedVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		here, there := v.Region().Rack("r", "a").PhysicalHost("here"), v.Region().Rack("q", "a").PhysicalHost("there")
		edge := fabricfake.NewEdge(v, "edge", swallow{})
		var frames [2]fabricfake.Frame
		launch := func(v *fabricfake.VPC, name string) (from, to *fabricfake.Instance) {
			s := v.Subnet("s", "10.0.0.0/24", "a")
			from = s.Instance(name+" from", fabricfake.InstanceConfig{On: here, PrivateIP: "10.0.0.11"})
			to = s.Instance(name+" to", fabricfake.InstanceConfig{On: there, PrivateIP: "10.0.0.10"})
			return from, to
		}
		from, to := launch(v, "first")
		if _, err := to.ListenPacket("udp", ":9"); err != nil {
			t.Fatal(err)
		}
		frames[0] = fabricfake.Frame{From: here.Addr(), To: there.Addr(), VNI: v.VNI(), Source: number(from), Receiver: number(to), Inner: datagram(tellerPort, vaultPort, "x")}
		frames[1] = frames[0]
		frames[1].To, frames[1].Receiver = ourEdge, 0
		rejected := func() [2]uint64 { return [2]uint64{there.Rejected(), edge.Rejected()} }
		send := func() {
			for _, f := range frames {
				here.Inject(f.Marshal())
			}
			w.Sleep(time.Second)
		}
		send()
		if got := rejected(); got != [2]uint64{} {
			t.Errorf("while it is there %d are rejected", got)
		}
		from.ForceTerminate()
		to.ForceTerminate()
		w.Sleep(fabricfake.FrameLifetime)
		from.Interface().Subnet().Delete()
		v.Delete()
		send()
		if got := rejected(); got != [2]uint64{1, 1} {
			t.Errorf("when it is deleted %d are rejected, want 1 each", got)
		}
		_, heir := launch(fabricfake.NewVPC(w, "prod", "10.0.0.0/16"), "second")
		in, err := heir.ListenPacket("udp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		send()
		in.SetReadDeadline(time.Now().Add(time.Second))
		if n, _, err := in.ReadFrom(make([]byte, 1)); err == nil || rejected() != [2]uint64{2, 2} {
			t.Errorf("the one in its place receives %d bytes; rejected are %d", n, rejected())
		}
	})
}

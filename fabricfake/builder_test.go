package fabricfake_test

import (
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What the API would refuse fails the test, with the API's code and the value. Each row
// has a sibling that is taken.
func TestBuilderErrors(t *testing.T) {
	type vpc = *fabricfake.VPC
	in := func(f func(v vpc)) func(w *netfake.World) {
		return func(w *netfake.World) { f(fabricfake.NewVPC(w, "prod", "10.0.0.0/16")) }
	}
	instance := func(cfg fabricfake.InstanceConfig) func(w *netfake.World) {
		return in(func(v vpc) { v.Subnet("app", "10.0.1.0/24", "a").Instance("web", cfg) })
	}
	groups := func(v vpc, n int) (gs fabricfake.Groups) {
		for i := range n {
			gs = append(gs, v.SecurityGroup(string(rune('a'+i))))
		}
		return gs
	}
	for _, row := range []struct {
		name  string
		codes []string // what the text says
		f     func(w *netfake.World)
		taken func(w *netfake.World)
	}{
		// Blocks: CreateVpc and CreateSubnet.
		{"a VPC's block that is none", []string{"InvalidParameterValue", `"10.0.0.0"`, "prod"},
			func(w *netfake.World) { fabricfake.NewVPC(w, "prod", "10.0.0.0") },
			func(w *netfake.World) { fabricfake.NewVPC(w, "prod", "10.0.0.0/28") }},
		// fact: vpc.size
		{"a VPC that is too large", []string{"InvalidVpcRange", "10.0.0.0/8"},
			func(w *netfake.World) { fabricfake.NewVPC(w, "prod", "10.0.0.0/8") },
			func(w *netfake.World) { fabricfake.NewVPC(w, "prod", "10.0.0.0/16") }},
		{"a subnet's block that is none", []string{"InvalidParameterValue", `"x"`, "subnet app", "vpc prod"},
			in(func(v vpc) { v.Subnet("app", "x", "a") }),
			in(func(v vpc) { v.Subnet("app", "10.0.0.0/24", "a") })},
		// fact: subnet.inside
		{"a subnet outside its VPC", []string{"InvalidSubnet.Range", "10.1.0.0/24"},
			in(func(v vpc) { v.Subnet("app", "10.1.0.0/24", "a") }),
			in(func(v vpc) { v.Subnet("app", "10.0.255.0/24", "a") })},
		// fact: subnet.overlap
		{"subnets that overlap", []string{"InvalidSubnet.Conflict", "10.0.0.128/25"},
			in(func(v vpc) { v.Subnet("one", "10.0.0.0/24", "a"); v.Subnet("two", "10.0.0.128/25", "a") }),
			in(func(v vpc) { v.Subnet("one", "10.0.0.0/25", "a"); v.Subnet("two", "10.0.0.128/25", "a") })},
		{"an unknown zone", []string{"InvalidParameterValue", `"d"`, "a, b, c"},
			in(func(v vpc) { v.Subnet("app", "10.0.0.0/24", "d") }),
			in(func(v vpc) { v.Subnet("app", "10.0.0.0/24", "c") })},

		// Names: a test's author may use each once.
		{"two VPCs of one name", []string{"VPC prod already"},
			in(func(v vpc) { fabricfake.NewVPC(v.World(), "prod", "10.1.0.0/16") }),
			in(func(v vpc) { fabricfake.NewVPC(v.World(), "test", "10.0.0.0/16") })},
		{"two subnets of one name", []string{"a subnet app already"},
			in(func(v vpc) { v.Subnet("app", "10.0.0.0/24", "a"); v.Subnet("app", "10.0.1.0/24", "a") }),
			in(func(v vpc) { v.Subnet("app", "10.0.0.0/24", "a"); v.Subnet("db", "10.0.1.0/24", "a") })},
		// fact: sg.name.unique
		{"two groups of one name", []string{"InvalidGroup.Duplicate", "prod"},
			in(func(v vpc) { v.SecurityGroup("web"); v.SecurityGroup("WEB") }),
			in(func(v vpc) { v.SecurityGroup("web"); v.SecurityGroup("db") })},
		// fact: sg.name.default
		{"a group called default", []string{"InvalidGroup.Reserved"},
			in(func(v vpc) { v.SecurityGroup("default") }), in(func(v vpc) { v.DefaultSecurityGroup() })},
		{"two ACLs of one name", []string{"an ACL edge already"},
			in(func(v vpc) { v.NetworkACL("edge"); v.NetworkACL("edge") }), in(func(v vpc) { v.NetworkACL("edge") })},
		{"two tables of one name", []string{"a route table edge already"},
			in(func(v vpc) { v.RouteTable("edge"); v.RouteTable("edge") }), in(func(v vpc) { v.RouteTable("edge") })},
		{"two instances of one name", []string{"a host web already"},
			in(func(v vpc) {
				s := v.Subnet("app", "10.0.1.0/24", "a")
				s.Instance("web", fabricfake.InstanceConfig{})
				s.Instance("web", fabricfake.InstanceConfig{})
			}), instance(fabricfake.InstanceConfig{})},
		{"two regions of one name", []string{"a region ap-southeast-2 already"},
			in(func(v vpc) { fabricfake.NewRegion(v.World(), "ap-southeast-2", netfake.Sydney) }),
			in(func(v vpc) { fabricfake.NewRegion(v.World(), "eu-central-1", netfake.Frankfurt) })},

		{"two physical hosts of one name", []string{"a physical host rack already"},
			in(func(v vpc) { v.Region().PhysicalHost("rack", "a"); v.Region().PhysicalHost("rack", "b") }),
			in(func(v vpc) { v.Region().PhysicalHost("rack", "a"); v.Region().PhysicalHost("shelf", "a") })},
		{"two racks of one name", []string{"a rack r1 already"},
			in(func(v vpc) { v.Region().Rack("r1", "a"); v.Region().Rack("r1", "b") }),
			in(func(v vpc) { v.Region().Rack("r1", "a"); v.Region().Rack("r2", "a") })},
		{"a rack in an unknown zone", []string{"InvalidParameterValue", `"d"`, "a, b, c"},
			in(func(v vpc) { v.Region().Rack("r1", "d") }), in(func(v vpc) { v.Region().Rack("r1", "c") })},
		{"a zone that is unknown", []string{"InvalidParameterValue", `"d"`, "a, b, c"},
			in(func(v vpc) { v.Region().Zone("d") }), in(func(v vpc) { v.Region().Zone("c") })},
		{"a rack's host with a name that is taken", []string{"a physical host h already"},
			in(func(v vpc) { v.Region().PhysicalHost("h", "a"); v.Region().Rack("r1", "b").PhysicalHost("h") }),
			in(func(v vpc) { v.Region().PhysicalHost("h", "a"); v.Region().Rack("r1", "b").PhysicalHost("i") })},

		// Everything has a name.
		{"a VPC without a name", []string{"InvalidParameterValue", "the VPC has no name"},
			func(w *netfake.World) { fabricfake.NewVPC(w, "", "10.0.0.0/16") }, in(func(vpc) {})},
		{"a subnet without a name", []string{"InvalidParameterValue", "the subnet has no name", "vpc prod"},
			in(func(v vpc) { v.Subnet("", "10.0.0.0/24", "a") }), in(func(v vpc) { v.Subnet("s", "10.0.0.0/24", "a") })},
		{"a group without a name", []string{"InvalidParameterValue"},
			in(func(v vpc) { v.SecurityGroup("") }), in(func(v vpc) { v.SecurityGroup("g") })},
		{"an ACL without a name", []string{"InvalidParameterValue", "the network ACL has no name"},
			in(func(v vpc) { v.NetworkACL("") }), in(func(v vpc) { v.NetworkACL("a") })},
		{"a table without a name", []string{"InvalidParameterValue", "the route table has no name"},
			in(func(v vpc) { v.RouteTable("") }), in(func(v vpc) { v.RouteTable("t") })},
		{"a region without a name", []string{"InvalidParameterValue", "the region has no name"},
			in(func(v vpc) { fabricfake.NewRegion(v.World(), "", netfake.Sydney) }),
			in(func(v vpc) { fabricfake.NewRegion(v.World(), "r", netfake.Sydney) })},
		{"a physical host without a name", []string{"InvalidParameterValue", "the physical host has no name"},
			in(func(v vpc) { v.Region().PhysicalHost("", "a") }), in(func(v vpc) { v.Region().PhysicalHost("h", "a") })},
		{"a rack without a name", []string{"InvalidParameterValue", "the rack has no name"},
			in(func(v vpc) { v.Region().Rack("", "a") }), in(func(v vpc) { v.Region().Rack("r", "a") })},

		// Addresses: the first four and the last of a subnet are reserved.
		// fact: eni.secondary.taken
		{"an address that is in use", []string{"InvalidIPAddress.InUse", "10.0.1.9", "subnet app"},
			in(func(v vpc) {
				s := v.Subnet("app", "10.0.1.0/24", "a")
				s.Instance("one", fabricfake.InstanceConfig{PrivateIP: "10.0.1.9"})
				s.Instance("two", fabricfake.InstanceConfig{PrivateIP: "10.0.1.9"})
			}), instance(fabricfake.InstanceConfig{PrivateIP: "10.0.1.9"})},
		// fact: subnet.reserved.router
		{"the router's address", []string{"InvalidParameterValue", "10.0.1.1"},
			instance(fabricfake.InstanceConfig{PrivateIP: "10.0.1.1"}), instance(fabricfake.InstanceConfig{PrivateIP: "10.0.1.4"})},
		// fact: subnet.reserved.last
		{"the broadcast address", []string{"InvalidParameterValue", "10.0.1.255"},
			instance(fabricfake.InstanceConfig{PrivateIP: "10.0.1.255"}), instance(fabricfake.InstanceConfig{PrivateIP: "10.0.1.254"})},
		{"an address outside the subnet", []string{"InvalidParameterValue", "10.0.2.9"},
			instance(fabricfake.InstanceConfig{PrivateIP: "10.0.2.9"}), instance(fabricfake.InstanceConfig{PrivateIP: "10.0.1.9"})},
		{"an address that is none", []string{"InvalidParameterValue", `"web"`},
			instance(fabricfake.InstanceConfig{PrivateIP: "web"}), instance(fabricfake.InstanceConfig{})},
		// fact: eni.full, subnet.reserved.count
		{"a subnet that is full", []string{"InsufficientFreeAddressesInSubnet"},
			in(func(v vpc) { fill(v, 12) }), in(func(v vpc) { fill(v, 11) })},

		// What belongs to another VPC.
		// fact: eni.groups.vpc, code.notfound.group
		{"a group of another VPC", []string{"InvalidGroup.NotFound", "sg theirs", "prod"},
			in(func(v vpc) {
				theirs := fabricfake.NewVPC(v.World(), "test", "10.1.0.0/16").SecurityGroup("theirs")
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{Groups: fabricfake.Groups{theirs}})
			}),
			in(func(v vpc) {
				ours := v.SecurityGroup("ours")
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{Groups: fabricfake.Groups{ours}})
			})},
		// fact: eni.groups.vpc
		{"a group of another VPC, later", []string{"InvalidGroup.NotFound", "sg theirs"},
			in(func(v vpc) {
				theirs := fabricfake.NewVPC(v.World(), "test", "10.1.0.0/16").SecurityGroup("theirs")
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{}).Interface().SetGroups(fabricfake.Groups{theirs})
			}),
			in(func(v vpc) {
				ours := v.SecurityGroup("ours")
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{}).Interface().SetGroups(fabricfake.Groups{ours})
			})},
		// fact: code.parameter
		{"an ACL of another VPC", []string{"InvalidParameterValue", "acl theirs", "prod"},
			in(func(v vpc) {
				theirs := fabricfake.NewVPC(v.World(), "test", "10.1.0.0/16").NetworkACL("theirs")
				v.Subnet("app", "10.0.1.0/24", "a").UseACL(theirs)
			}),
			in(func(v vpc) { v.Subnet("app", "10.0.1.0/24", "a").UseACL(v.NetworkACL("ours")) })},
		// fact: code.parameter
		{"a table of another VPC", []string{"InvalidParameterValue", "rtb theirs", "prod"},
			in(func(v vpc) {
				theirs := fabricfake.NewVPC(v.World(), "test", "10.1.0.0/16").RouteTable("theirs")
				v.Subnet("app", "10.0.1.0/24", "a").Associate(theirs)
			}),
			in(func(v vpc) { v.Subnet("app", "10.0.1.0/24", "a").Associate(v.RouteTable("ours")) })},
		// fact: eni.zone
		{"a host in another zone", []string{"InvalidParameterValue", "rack", "zone b"},
			in(func(v vpc) {
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{On: v.Region().PhysicalHost("rack", "b")})
			}),
			in(func(v vpc) {
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{On: v.Region().PhysicalHost("rack", "a")})
			})},

		// Five groups to an interface.
		// fact: sg.quota.eni, code.quota.groups
		{"a sixth group", []string{"SecurityGroupsPerInterfaceLimitExceeded", "6"},
			in(func(v vpc) {
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{Groups: groups(v, 6)})
			}),
			in(func(v vpc) {
				v.Subnet("app", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{Groups: groups(v, 5)})
			})},
		{"an appliance without a guest", []string{"InvalidParameterValue", "the appliance nat has no guest"},
			in(func(v vpc) { v.Subnet("app", "10.0.1.0/24", "a").Appliance("nat", nil) }),
			in(func(v vpc) {
				v.Subnet("app", "10.0.1.0/24", "a").Appliance("nat", v.World().NewHost("nat", netfake.Place{}))
			})},
		{"an edge without a node", []string{"InvalidParameterValue", "the edge igw has no node"},
			in(func(v vpc) { fabricfake.NewEdge(v, "igw", nil) }),
			in(func(v vpc) { v.AttachGateway("igw") })},
		{"a resolver on no host", []string{"InvalidParameterValue", "vpc prod", "resolver"},
			in(func(v vpc) { v.AttachResolver(nil) }),
			in(func(v vpc) { v.AttachResolver(v.World().NewHost("resolver", netfake.Place{})) })},
		// fact: code.igw.twice
		{"a second internet gateway", []string{"Resource.AlreadyAssociated", "prod", "one"},
			in(func(v vpc) { v.AttachGateway("one"); v.AttachGateway("two") }),
			in(func(v vpc) { v.AttachGateway("one"); v.DetachGateway("one"); v.AttachGateway("two") })},
		{"detaching another gateway", []string{"Resource.AlreadyAssociated", "prod", "one"},
			in(func(v vpc) { v.AttachGateway("one"); v.DetachGateway("two"); v.AttachGateway("two") }),
			in(func(v vpc) { v.AttachGateway("one"); v.DetachGateway("one"); v.AttachGateway("one") })},
	} {
		text := fatal(t, row.f)
		for _, says := range row.codes {
			if !strings.Contains(text, says) {
				t.Errorf("%s: got %q, want it to say %q", row.name, text, says)
			}
		}
		if text := fatal(t, row.taken); text != "" {
			t.Errorf("the sibling of %s failed: %s", row.name, text)
		}
	}
}

// fill launches instances in a subnet of 16 addresses.
func fill(v *fabricfake.VPC, n int) {
	s := v.Subnet("app", "10.0.1.0/28", "a")
	for i := range n {
		s.Instance(string(rune('a'+i)), fabricfake.InstanceConfig{})
	}
}

// An interface keeps its groups whatever becomes of the slice that named them; without
// a group it has the default one.
func TestGroupsOfAnInstance(t *testing.T) { netfake.Run(t, testGroupsOfAnInstance) }

func testGroupsOfAnInstance(t *testing.T, w *netfake.World) {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	s := v.Subnet("app", "10.0.1.0/24", "a")
	one, two := v.SecurityGroup("one"), v.SecurityGroup("two")
	mine := fabricfake.Groups{one}
	for _, row := range []struct {
		name string
		gs   fabricfake.Groups
		want *fabricfake.SecurityGroup
	}{
		{"a group", mine, one},
		// fact: sg.default.named
		{"nil", nil, v.DefaultSecurityGroup()},
		{"none", fabricfake.Groups{}, v.DefaultSecurityGroup()},
	} {
		f := s.Instance(row.name, fabricfake.InstanceConfig{Groups: row.gs}).Interface()
		mine[0] = two
		if gs := f.Groups(); len(gs) != 1 || gs[0] != row.want {
			t.Errorf("%s: the interface has %v, want %v", row.name, gs, row.want)
		}
	}
}

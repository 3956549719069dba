package fabricfake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A quota holds at its default, and where it was raised: each row is refused with the code
// and is taken once it has the quota that it needs.
func TestQuotas(t *testing.T) {
	type vpc = *fabricfake.VPC
	const offices = 70
	for _, row := range []struct {
		name, code string
		do         func(v vpc)
		quotas     fabricfake.Quotas
	}{
		// fact: sg.quota, code.quota.rules
		{"rules of a group", "RulesPerSecurityGroupLimitExceeded: a group has 60 rules", func(v vpc) {
			g := v.SecurityGroup("g")
			for n := range 61 {
				g.AllowIngress(fmt.Sprint("tcp/", n), fabricfake.Anywhere)
			}
		}, fabricfake.Quotas{RulesPerGroup: 61}},
		// fact: sg.quota.list
		{"a prefix list counts as what it is for", "RulesPerSecurityGroupLimitExceeded", func(v vpc) {
			v.SecurityGroup("g").AllowIngress("all", v.Region().PrefixList("l", offices, "198.51.100.0/24"))
		}, fabricfake.Quotas{RulesPerGroup: offices}},
		// fact: sg.quota.eni, code.quota.groups
		{"groups of an interface", "SecurityGroupsPerInterfaceLimitExceeded: 6 groups, and 5 are allowed", func(v vpc) {
			var gs fabricfake.Groups
			for n := range 6 {
				gs = append(gs, v.SecurityGroup(fmt.Sprint("g", n)))
			}
			v.Subnet("s", "10.0.1.0/24", "a").Instance("i", fabricfake.InstanceConfig{Groups: gs})
		}, fabricfake.Quotas{GroupsPerInterface: 6}},
		// fact: acl.quota, code.quota.acl
		{"entries of an ACL", "NetworkAclEntryLimitExceeded: an ACL has 20 entries", func(v vpc) {
			a := v.NetworkACL("a")
			for n := range 21 {
				a.AllowEgress(n+1, "all", "10.0.0.0/8")
			}
		}, fabricfake.Quotas{EntriesPerACL: 21}},
		// fact: rtb.quota, code.quota.routes
		{"routes of a table", "RouteLimitExceeded: a table has 500 routes", func(v vpc) {
			f := v.Subnet("s", "10.0.1.0/24", "a").Instance("i", fabricfake.InstanceConfig{}).Interface()
			rtb := v.RouteTable("t")
			for n := range 501 {
				rtb.Route(fmt.Sprintf("172.16.%d.%d/32", n/256, n%256), &throughInterface{f})
			}
		}, fabricfake.Quotas{RoutesPerTable: 501}},
		// fact: code.quota.vpc
		{"VPCs of a region", "VpcLimitExceeded: the region has 5 VPCs, and may have no more: Region.SetQuotas raises that (vpc v4)", func(v vpc) {
			for n := range 5 {
				v.Region().VPC(fmt.Sprint("v", n), "10.0.0.0/16")
			}
		}, fabricfake.Quotas{VPCs: 6}},
		{"a default VPC is one of them", "VpcLimitExceeded: the region has 5", func(v vpc) {
			for n := range 4 {
				v.Region().VPC(fmt.Sprint("v", n), "10.0.0.0/16")
			}
			fabricfake.NewDefaultVPC(v.Region())
		}, fabricfake.Quotas{VPCs: 6}},
		// fact: code.quota.sgs
		{"groups of a region", "SecurityGroupLimitExceeded: the region has 2500", func(v vpc) {
			for n := range 2500 { // the default group makes one more
				v.SecurityGroup(fmt.Sprint("g", n))
			}
		}, fabricfake.Quotas{SecurityGroups: 2501}},
		// fact: code.quota.acls
		{"ACLs of a VPC", "NetworkAclLimitExceeded: the VPC has 200", func(v vpc) {
			for n := range 200 {
				v.NetworkACL(fmt.Sprint("a", n))
			}
		}, fabricfake.Quotas{ACLsPerVPC: 201}},
		// fact: code.quota.tables
		{"tables of a VPC", "RouteTableLimitExceeded: the VPC has 200", func(v vpc) {
			for n := range 200 {
				v.RouteTable(fmt.Sprint("t", n))
			}
		}, fabricfake.Quotas{TablesPerVPC: 201}},
		// fact: code.quota.subnets
		{"subnets of a VPC", "SubnetLimitExceeded: the VPC has 200", func(v vpc) {
			for n := range 201 {
				v.Subnet(fmt.Sprint("s", n), fmt.Sprintf("10.0.%d.0/24", n), "a")
			}
		}, fabricfake.Quotas{SubnetsPerVPC: 201}},
	} {
		for _, raised := range []bool{false, true} {
			text := fatal(t, func(w *netfake.World) {
				v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
				if raised {
					v.Region().SetQuotas(row.quotas)
				}
				row.do(v)
			})
			if raised != (text == "") || !raised && !strings.Contains(text, row.code) {
				t.Errorf("%s, raised %v: %q", row.name, raised, text)
			}
		}
	}
}

// The families of routes and entries are counted apart.
// fact: acl.quota
func TestQuotasByFamily(t *testing.T) {
	text := fatal(t, func(w *netfake.World) {
		v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
		v.Region().SetQuotas(fabricfake.Quotas{RoutesPerTable: 1, EntriesPerACL: 1})
		f := v.Subnet("s", "10.0.1.0/24", "a").Instance("i", fabricfake.InstanceConfig{}).Interface()
		v.RouteTable("t").Route("0.0.0.0/0", &throughInterface{f}).Route("::/0", &throughInterface{f})
		v.NetworkACL("a").AllowEgress(1, "all", "0.0.0.0/0").AllowEgress(2, "all", "::/0")
	})
	if text != "" {
		t.Errorf("one of each family: %s", text)
	}
}

// Each region has its own five VPCs, and one that is deleted makes room for another.
// fact: code.quota.vpc
func TestQuotaOfVPCsByRegion(t *testing.T) {
	text := fatal(t, func(w *netfake.World) {
		for _, name := range []string{"ap-southeast-2", "eu-west-1"} {
			r := fabricfake.NewRegion(w, name, netfake.London)
			for n := range 6 {
				v := r.VPC(fmt.Sprint("v", n), "10.0.0.0/16")
				if n == 4 {
					v.Delete()
				}
			}
		}
	})
	if text != "" {
		t.Errorf("five in each of two regions: %s", text)
	}
}

// What no request for an increase gets.
func TestSetQuotas(t *testing.T) {
	for _, row := range []struct {
		q    fabricfake.Quotas
		code string // "": granted
	}{
		{fabricfake.Quotas{}, ""},
		{fabricfake.Quotas{RulesPerGroup: 200}, ""},
		// fact: sg.quota.product
		{fabricfake.Quotas{RulesPerGroup: 201}, "201 rules in each of 5 groups are 1005 for an interface, and 1000 are granted"},
		// fact: sg.quota.product
		{fabricfake.Quotas{RulesPerGroup: 62, GroupsPerInterface: 16}, ""},
		// fact: sg.quota.product
		{fabricfake.Quotas{RulesPerGroup: 63, GroupsPerInterface: 16}, "1008 for an interface"},
		// fact: sg.quota.product
		{fabricfake.Quotas{GroupsPerInterface: 17}, "Quotas.GroupsPerInterface is 17: it is from 1 to 16"},
		{fabricfake.Quotas{EntriesPerACL: 40, RoutesPerTable: 1000}, ""},
		{fabricfake.Quotas{EntriesPerACL: 41}, "Quotas.EntriesPerACL is 41: it is from 1 to 40"},
		{fabricfake.Quotas{RoutesPerTable: 1001}, "Quotas.RoutesPerTable is 1001: it is from 1 to 1000"},
		{fabricfake.Quotas{VPCs: 100}, ""},
		{fabricfake.Quotas{VPCs: -1}, "Quotas.VPCs is -1"},
		{fabricfake.Quotas{SubnetsPerVPC: -1}, "Quotas.SubnetsPerVPC is -1"},
	} {
		var got fabricfake.Quotas
		text := fatal(t, func(w *netfake.World) {
			r := fabricfake.DefaultRegion(w)
			r.SetQuotas(row.q)
			got = r.Quotas()
		})
		if (row.code == "") != (text == "") || !strings.Contains(text, row.code) {
			t.Errorf("%+v: %q, want %q", row.q, text, row.code)
		}
		if text == "" && (got.TablesPerVPC != 200 || row.q.RulesPerGroup > 0 && got.RulesPerGroup != row.q.RulesPerGroup) {
			t.Errorf("%+v: in force is %+v", row.q, got)
		}
	}
}

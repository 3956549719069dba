package fabricfake_test

import (
	"strings"
	"testing"

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
}

func newDeletable(w *netfake.World) *deletable {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	s := v.Subnet("s", "10.0.1.0/24", "a")
	return &deletable{
		vpc: v, subnet: s, app: s.Instance("app", fabricfake.InstanceConfig{}).Interface(),
		web: v.SecurityGroup("web"), db: v.SecurityGroup("db"), acl: v.NetworkACL("border"),
	}
}

package gatewayfake_test

import (
	"testing"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// A private subnet reaches the internet through a NAT gateway in a public one.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	site := w.Internet().Host("site", "203.0.113.80")
	if _, err := site.Listen("tcp", ":443"); err != nil {
		t.Fatal(err)
	}
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public := vpc.Subnet("public", "10.0.0.0/24", "a")
	private := vpc.Subnet("private", "10.0.1.0/24", "a")

	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	nat := gatewayfake.NewNATGateway(public, "nat", gatewayfake.NewElasticIP(vpc))
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", nat)

	app := private.Instance("app", fabricfake.InstanceConfig{})
	c, err := app.Dial("tcp", "203.0.113.80:443")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if s := nat.Stats(); s.ConnectionAttempts != 1 {
		t.Errorf("the NAT gateway counts %+v", s)
	}
}

// An app reaches the database of another VPC over a peering, by a rule that names its group,
// until the peering is deleted.
func TestPeeringExample(t *testing.T) { netfake.Run(t, testPeeringExample) }

func testPeeringExample(t *testing.T, w *netfake.World) {
	shop, data := fabricfake.NewVPC(w, "shop", "10.0.0.0/16"), fabricfake.NewVPC(w, "data", "10.1.0.0/16")
	front, back := shop.Subnet("front", "10.0.1.0/24", "a"), data.Subnet("back", "10.1.1.0/24", "b")
	pcx := gatewayfake.NewPeering(shop, data, "pcx").Accept()
	front.Route("10.1.0.0/16", pcx)
	back.Route("10.0.0.0/16", pcx)

	apps := shop.SecurityGroup("apps")
	stores := data.SecurityGroup("stores").AllowIngress("tcp/5432", apps)
	app := front.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{apps}})
	db := back.Instance("db", fabricfake.InstanceConfig{Groups: fabricfake.Groups{stores}})
	if _, err := db.Listen("tcp", ":5432"); err != nil {
		t.Fatal(err)
	}
	assert.Reachable(t, app, db.TCP(5432), assert.Through(pcx))
	assert.Unreachable(t, app, db.TCP(22), assert.BlockedBy(stores))
	pcx.Delete()
	assert.Unreachable(t, app, db.TCP(5432), assert.BlockedBy(front.RouteTable()))
}

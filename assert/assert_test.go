package assert_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// shop is an application and its database in two subnets, and a site on the internet.
type shop struct {
	vpc           *fabricfake.VPC
	data          *fabricfake.Subnet
	igw           *gatewayfake.InternetGateway
	appSG, dbSG   *fabricfake.SecurityGroup
	app, db       *fabricfake.Instance
	site          *netfake.Host
	dataACL       *fabricfake.NetworkACL
	publicAddress *gatewayfake.ElasticIP
}

func build(t *testing.T, w *netfake.World) *shop {
	s := &shop{}
	s.site = w.Internet().HostAt(netfake.Melbourne, "site", "203.0.113.80")
	s.vpc = fabricfake.NewVPC(w, "shop", "10.0.0.0/16")
	front := s.vpc.Subnet("app", "10.0.1.0/24", "a")
	s.data = s.vpc.Subnet("data", "10.0.2.0/24", "b")
	s.igw = gatewayfake.NewInternetGateway(s.vpc, "igw")
	front.Route("0.0.0.0/0", s.igw)
	s.dataACL = s.vpc.NetworkACL("data").
		AllowIngress(100, "tcp/5432", "10.0.1.0/24").AllowEgress(100, "tcp/1024-65535", "10.0.1.0/24")
	s.data.UseACL(s.dataACL)
	s.appSG = s.vpc.SecurityGroup("app").AllowIngress("tcp/80", fabricfake.Anywhere)
	s.dbSG = s.vpc.SecurityGroup("db").AllowIngress("tcp/5432", s.appSG)
	s.app = front.Instance("app", fabricfake.InstanceConfig{PrivateIP: "10.0.1.5", Groups: fabricfake.Groups{s.appSG}})
	s.db = s.data.Instance("db", fabricfake.InstanceConfig{PrivateIP: "10.0.2.9", Groups: fabricfake.Groups{s.dbSG}})
	s.publicAddress = gatewayfake.NewElasticIP(s.vpc)
	s.publicAddress.Associate(s.app.Interface())
	for _, e := range []netfake.Endpoint{s.app.TCP(80), s.db.TCP(5432), s.site.TCP(443)} {
		if _, err := e.Host.Listen("tcp", e.Addr.String()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Each requirement holds where it should, and fails where it should not.
func TestRequirements(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := build(t, w)
		reachable := func(tb netfake.TB, from assert.Source, to netfake.Endpoint, must ...assert.Requirement) {
			assert.Reachable(tb, from, to, must...)
		}
		unreachable := func(tb netfake.TB, from assert.Source, to netfake.Endpoint, must ...assert.Requirement) {
			assert.Unreachable(tb, from, to, must...)
		}
		internet := w.Internet()
		spare := s.vpc.SecurityGroup("spare")
		s.dataACL.AllowIngress(110, "tcp/5434", "10.0.1.0/24")
		s.db.Interface().SetGroups(fabricfake.Groups{spare, s.dbSG})
		rtb, mapping := s.data.RouteTable(), s.vpc.Region().Mapping()
		for _, row := range []struct {
			name  string
			claim func(netfake.TB, assert.Source, netfake.Endpoint, ...assert.Requirement)
			from  assert.Source
			to    netfake.Endpoint
			must  []assert.Requirement
			fails string // "": the claim holds
		}{
			{"open", reachable, s.app, s.db.TCP(5432), nil, ""},
			{"open, denied", unreachable, s.app, s.db.TCP(5432), nil, "should not be reachable"},
			{"closed by a group", unreachable, s.app, s.db.TCP(5433), nil, ""},
			{"closed by a group, denied", reachable, s.app, s.db.TCP(5433), nil, "should be reachable"},
			{"nobody listens", unreachable, s.db, s.app.TCP(80), nil, ""},

			{"through", reachable, s.app, s.site.TCP(443), []assert.Requirement{assert.Through(s.appSG, s.igw, internet)}, ""},
			{"through, wrong order", reachable, s.app, s.site.TCP(443), []assert.Requirement{assert.Through(s.igw, s.appSG)}, "through igw, sg app"},
			{"through what is not on the way", reachable, s.app, s.db.TCP(5432), []assert.Requirement{assert.Through(s.igw)}, "through igw"},

			{"path", reachable, s.app, s.db.TCP(5432), []assert.Requirement{
				assert.Path(s.appSG, s.vpc.DefaultNetworkACL(), s.app.Interface().Subnet().RouteTable(), mapping, s.dataACL, s.dbSG, s.db.Host)}, ""},
			{"path with one too few", reachable, s.app, s.db.TCP(5432), []assert.Requirement{assert.Path(s.appSG, rtb)}, "by the path"},

			{"blocked by", unreachable, s.app, s.db.TCP(5433), []assert.Requirement{assert.BlockedBy(s.dataACL)}, ""},
			{"blocked by another", unreachable, s.app, s.db.TCP(5433), []assert.Requirement{assert.BlockedBy(s.dbSG)}, "blocked by sg db"},
			{"blocked by one of two groups", unreachable, s.app, s.db.TCP(5434), []assert.Requirement{assert.BlockedBy(s.dbSG), assert.BlockedBy(spare)}, ""},
			{"blocked by a group of another interface", unreachable, s.app, s.db.TCP(5434), []assert.Requirement{assert.BlockedBy(s.appSG)}, "blocked by sg app"},
			{"code", unreachable, s.app, s.db.TCP(5433), []assert.Requirement{assert.WithCode("SUBNET_ACL_RESTRICTION")}, ""},
			{"another code", unreachable, s.app, s.db.TCP(5433), []assert.Requirement{assert.WithCode("ENI_SG_RULES_MISMATCH")}, "blocked with ENI_SG"},
			{"on the way there, not back", unreachable, s.app, s.db.TCP(5433), []assert.Requirement{assert.OnTheWayBack()}, "on the way back"},
		} {
			tb := faketb.New(t)
			row.claim(tb, row.from, row.to, row.must...)
			switch got := strings.Join(tb.Failures(), "\n"); {
			case row.fails == "" && got != "":
				t.Errorf("%s: failed:\n%s", row.name, got)
			case row.fails != "" && !strings.Contains(got, row.fails):
				t.Errorf("%s: got %q, want a failure that says %q", row.name, got, row.fails)
			}
		}
	})
}

// A private address cannot be reached from outside; the public one can, until the
// answer has no way back.
func TestOnTheWayBack(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := build(t, w)
		assert.Unreachable(t, s.site, s.app.TCP(80), assert.BlockedBy(w.Internet()))
		front := netfake.Endpoint{Proto: netfake.TCP, Addr: addrPort(s.publicAddress, 80)}
		assert.Reachable(t, s.site, front, assert.Through(s.igw, s.appSG))

		// An ACL that forgets the ephemeral ports lets the request in and keeps the
		// answer; a group would have let it pass.
		strict := s.vpc.NetworkACL("strict").AllowIngress(100, "tcp/80", "0.0.0.0/0").AllowEgress(100, "tcp/80", "0.0.0.0/0")
		s.app.Interface().Subnet().UseACL(strict)
		assert.Unreachable(t, s.site, front, assert.OnTheWayBack(), assert.BlockedBy(strict))
	})
}

// A source that is not there fails the test.
func TestNoSource(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("203.0.113.80:443")}
		for _, from := range []assert.Source{nil, (*fabricfake.Instance)(nil), (*netfake.Host)(nil)} {
			text := faketb.Fatal(t, func(tb *faketb.TB) { assert.Unreachable(tb, from, to) })
			if text != "assert: there is no host that could talk with 203.0.113.80:443 tcp" {
				t.Errorf("%T: %q", from, text)
			}
		}
	})
}

// The failure's whole text: verdict, hops, what else would block, the near miss, the
// replay.
func TestFailureText(t *testing.T) {
	netfake.RunConfig(t, netfake.Config{Seed: 42}, func(t *testing.T, w *netfake.World) {
		s := build(t, w)
		s.dataACL.RemoveEgress(100)
		s.dbSG.RevokeIngress("tcp/5432", s.appSG).AllowIngress("tcp/5433", s.appSG)
		tb := faketb.New(t)
		assert.Reachable(tb, s.app, s.db.TCP(5432))
		want := `app → db 10.0.2.9:5432 tcp should be reachable
app 10.0.1.5:41950 → db 10.0.2.9:5432 tcp: BLOCKED at sg db (ingress): ENI_SG_RULES_MISMATCH
  +0.000ms  app         sg app egress       allow  rule 1  all to 0.0.0.0/0
  +0.000ms  app         acl default egress  allow  rule 100  allow all 0.0.0.0/0
  +0.000ms  app         rtb app                    10.0.0.0/16 → local
  +0.000ms  app         mapping                    10.0.2.9 is db on host of db (192.168.0.4), vni 1
  +0.500ms  host of db  mapping ingress     allow  192.168.0.3 may send as 10.0.1.5
  +0.500ms  db          acl data ingress    allow  rule 100  allow tcp/5432 10.0.1.0/24
  +0.500ms  db          sg db ingress       DROP   no rule matches
  nearest rule: sg db ingress 1 allows tcp/5433 from sg app
  on the way back, acl data egress would also drop tcp/41950 (rule *)
  seed 42; replay: NETSPEC_SEED=42 go test -run '^TestFailureText$' -cpu=1 ./assert`
		got := strings.Join(tb.Failures(), "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the failure's text, want -, got +:\n%s", diff)
		}
	})
}

func TestEventually(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		ready := time.Now().Add(7250 * time.Millisecond)
		f := func() error {
			if time.Now().Before(ready) {
				return errors.New("not yet")
			}
			return nil
		}
		assert.Equal(t, assert.Eventually(t, time.Minute, f), 7300*time.Millisecond) // the next look after 7.25 s

		ready = time.Now().Add(time.Hour)
		tb := faketb.New(t)
		assert.Equal(t, assert.Eventually(tb, time.Minute, f), time.Minute)
		if len(tb.Failures()) != 1 || !strings.Contains(tb.Failures()[0], "after 1m0s it is still so: not yet") {
			t.Errorf("got %q", tb.Failures())
		}
	})
}

func TestWithin(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		sleep := func() error { time.Sleep(time.Second); return nil }
		assert.Equal(t, assert.Within(t, time.Second, sleep), time.Second)
		tb := faketb.New(t)
		assert.Within(tb, time.Second-1, sleep)
		assert.Within(tb, time.Second, func() error { return context.Canceled })
		if len(tb.Failures()) != 2 {
			t.Errorf("got %q", tb.Failures())
		}
	})
}

func addrPort(e *gatewayfake.ElasticIP, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(e.Addr(), port)
}

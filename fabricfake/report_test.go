package fabricfake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A failed test's report has the hops of what did not come through, up to the rule that
// refuses, and nothing of what did.
func TestReport(t *testing.T) {
	netfake.RunConfig(t, netfake.Config{Seed: 1}, testReport)
}

func testReport(t *testing.T, w *netfake.World) {
	vpc := fabricfake.NewVPC(w, "shop", "10.0.0.0/16")
	subnet := vpc.Subnet("data", "10.0.2.0/24", "a")
	db := vpc.SecurityGroup("db").AllowIngress("tcp/5433", fabricfake.Anywhere)
	spare := vpc.SecurityGroup("spare")
	app := subnet.Instance("app", fabricfake.InstanceConfig{PrivateIP: "10.0.2.5"})
	store := subnet.Instance("db", fabricfake.InstanceConfig{PrivateIP: "10.0.2.9", Groups: fabricfake.Groups{spare, db}})
	for _, port := range []string{":5432", ":5433"} {
		if _, err := store.Listen("tcp", port); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := app.Dial("tcp", "10.0.2.9:5433"); err != nil {
		t.Fatal(err)
	}
	d := netfake.Dialer{Host: app.Host, Timeout: time.Second}
	if _, err := d.DialContext(t.Context(), "tcp", "10.0.2.9:5432"); err == nil {
		t.Fatal("it came through")
	}
	_, report, _ := strings.Cut(w.Report(), "nothing to do\n")
	report, _, _ = strings.Cut(report, "seed 1;")
	const want = `last packet dropped of each flow:
  +0.300ms 10.0.2.5:33185 → 10.0.2.9:5432 tcp: sg db ingress: no rule matches, nor in sg spare (ENI_SG_RULES_MISMATCH)
    nearest rule: sg db ingress 1 allows tcp/5433 from 0.0.0.0/0
what would become of the next packet:
  app 10.0.2.5:33185 → db 10.0.2.9:5432 tcp: BLOCKED at sg db (ingress): ENI_SG_RULES_MISMATCH
    +0.000ms  app         sg default egress  allow  tracked connection
    +0.000ms  app         mapping                   10.0.2.9 is db on host of db (192.168.0.4), vni 1
    +0.100ms  host of db  mapping ingress    allow  192.168.0.3 may send as 10.0.2.5
    +0.100ms  db          sg db ingress      DROP   no rule matches, nor in sg spare
`
	if report != want {
		t.Errorf("got\n%s\nwant\n%s", report, want)
	}
}

package lbfake_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/lbfake"
	"github.com/netspec-go/netspec/netfake"
)

// One of two instances dies without a word. Until its second check has failed, every
// other visit is a minute's wait for a 504, for the load balancer has connections to it
// that look alive; from then on, nobody notices.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	sys := dnsfake.New(w)
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	publicA := vpc.Subnet("public-a", "10.0.0.0/24", "a").Route("0.0.0.0/0", igw)
	publicB := vpc.Subnet("public-b", "10.0.1.0/24", "b").Route("0.0.0.0/0", igw)
	private := vpc.Subnet("private-a", "10.0.10.0/24", "a")

	front := vpc.SecurityGroup("front").AllowIngress("tcp/80", fabricfake.Anywhere)
	back := vpc.SecurityGroup("back").AllowIngress("tcp/8080", front)
	app := lbfake.NewTargetGroup(vpc, "app", lbfake.TargetGroupConfig{Port: 8080})
	var instances []*fabricfake.Instance
	for _, name := range []string{"one", "two"} {
		i := private.Instance(name, fabricfake.InstanceConfig{Groups: fabricfake.Groups{back}})
		i.ServeHTTP(":8080", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			io.WriteString(rw, "hello")
		}))
		app.Register(i)
		instances = append(instances, i)
	}
	web := lbfake.NewApplication(vpc, "web", lbfake.ApplicationConfig{
		Subnets: []*fabricfake.Subnet{publicA, publicB}, Groups: fabricfake.Groups{front}, DNS: sys,
	})
	web.Listener(80, lbfake.HTTP, lbfake.ListenerConfig{Default: lbfake.Forward(app)})
	if err := app.WaitInService(t.Context()); err != nil {
		t.Fatal(err)
	}

	customer := w.Internet().HostAt(netfake.Melbourne, "customer", "203.0.113.9")
	customer.SetResolvers(sys.Resolver(netfake.Melbourne, "isp", "203.0.113.53").Addr())
	client := customer.HTTPClient()
	// visit makes ten visits and returns how many went wrong.
	visit := func() (wrong int) {
		for range 10 {
			resp, err := client.Get("http://" + web.DNSName() + "/")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				wrong++
			}
		}
		return wrong
	}
	if wrong := visit(); wrong != 0 {
		t.Errorf("%d of 10 visits went wrong with both instances alive", wrong)
	}
	instances[1].Crash()
	if wrong := visit(); wrong != 2 {
		t.Errorf("%d of 10 visits went wrong after one died, want the 2 of two minutes", wrong)
	}
	if h := app.HealthOf(instances[1]); h.State != lbfake.Unhealthy || h.Reason != lbfake.TargetTimeout {
		t.Errorf("the dead instance is %v", h)
	}
	if wrong := visit(); wrong != 0 {
		t.Errorf("%d of 10 visits went wrong after the load balancer knew", wrong)
	}
	var lost []lbfake.Access
	for _, a := range web.AccessLog() {
		if a.Status == http.StatusGatewayTimeout {
			lost = append(lost, a)
		}
	}
	const why = "two 10.0.10.5:8080: no response before the idle timeout"
	if len(lost) != 2 || lost[0].Reason != why || lost[0].Time-lost[0].Created != time.Minute {
		t.Errorf("the access log has %v", lost)
	}
}

// Package tour is the example that the README opens with, and the proof that what the
// README shows is true.
package tour

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

var hello = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") })

func TestPatty(t *testing.T) { netfake.Run(t, testPatty) }

// A private instance reaches the internet through its NAT gateway, and nothing reaches it.
func testPatty(t *testing.T, w *netfake.World) {
	site := w.Internet().HostAt(netfake.Sydney, "site", "203.0.113.80")
	site.ServeHTTP(":443", hello) // any http.Handler

	vpc := fabricfake.NewVPC(w, "prod", "10.142.0.0/16")
	public := vpc.Subnet("public-a", "10.142.0.0/24", "a")
	private := vpc.Subnet("private-a", "10.142.13.0/24", "a")

	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	nat := gatewayfake.NewNATGateway(public, "nat-a", gatewayfake.NewElasticIP(vpc))
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", nat)

	group := vpc.SecurityGroup("app").RestrictEgress().AllowEgress("tcp/443", fabricfake.Anywhere)
	app := private.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{group}})

	resp, err := app.HTTPClient().Get("http://203.0.113.80:443/") // a real client, over our packets
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	assert.Reachable(t, app, site.TCP(443), assert.Through(group, nat, igw))
	assert.Unreachable(t, site, app.TCP(22), assert.BlockedBy(w.Internet()))
	assert.Equal(t, site.LastPeer(), nat.PublicIP())
}

// The code blocks of the README are the code above, and the failure is the one that the
// assertions print.
func TestReadme(t *testing.T) {
	readme := read(t, "../../README.md")
	_, code, _ := strings.Cut(readme, "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if code == "" || !strings.Contains(read(t, "tour_test.go"), code) {
		t.Error("the README's example is not the one that is tested here")
	}
	_, failure, _ := strings.Cut(readme, "explains itself:\n\n")
	failure, _, _ = strings.Cut(failure, "\n\n")
	lines := strings.Split(failure, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "    ")
	}
	if !strings.Contains(read(t, "../../assert/assert_test.go"), strings.Join(lines, "\n")) {
		t.Error("the README's failure is not the one that the assertions' test expects")
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

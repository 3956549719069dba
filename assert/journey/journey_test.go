package journey_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/netspec-go/netspec/assert/journey"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// visit is the recording of a page that a private instance asks for through its NAT
// gateway, and of a SYN that a security group drops.
func visit(t *testing.T, w *netfake.World) *netfake.Recording {
	site := w.Internet().HostAt(netfake.Sydney, "site <b>", "203.0.113.80")
	site.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }))
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public, private := vpc.Subnet("public", "10.0.0.0/24", "a"), vpc.Subnet("private", "10.0.1.0/24", "a")
	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", gatewayfake.NewNATGateway(public, "nat", gatewayfake.NewElasticIP(vpc)))
	group := vpc.SecurityGroup("app").RestrictEgress().AllowEgress("tcp/80", fabricfake.Anywhere)
	app := private.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{group}})

	rec := w.Record(nil)
	resp, err := app.HTTPClient().Get("http://203.0.113.80/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	app.Ping(t.Context(), site.Addr())
	rec.Stop()
	return rec
}

func TestText(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		text := journey.Text(visit(t, w))
		for _, want := range []string{
			"1. app 10.0.1.4:", " → site <b> 203.0.113.80:80 tcp, ", "\n   +0.000ms → SYN ", " ← SYN,ACK ",
			"source 10.0.1.4:", "destination 198.18.0.10 → 10.0.0.4", // both translations, there and back
			"2. app 10.0.1.4:", "dropped by sg app: no rule matches", "sg app egress  DROP",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the text does not say %q:\n%s", want, text)
			}
		}
	})
}

// The page parses, needs nothing from elsewhere, and escapes what people chose.
func TestHTML(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		var b bytes.Buffer
		if err := journey.HTML(&b, "A <heading>", visit(t, w)); err != nil {
			t.Fatal(err)
		}
		rows, struck := 0, 0
		tokens := html.NewTokenizer(&b)
		for tokens.Next() != html.ErrorToken {
			token := tokens.Token()
			if token.Type != html.StartTagToken {
				continue
			}
			switch token.Data {
			case "tr":
				rows++
			case "script", "link", "img", "heading":
				t.Errorf("the page has a %s", token.Data)
			}
			for _, a := range token.Attr {
				if a.Key == "class" && a.Val == "from" {
					struck++
				}
				if a.Key == "src" || a.Key == "href" {
					t.Errorf("the page refers to %s", a.Val)
				}
			}
		}
		if rows < 50 || struck < 4 {
			t.Errorf("%d rows of hops, %d translations; want a request there and back through two translations", rows, struck)
		}
	})
}

func TestArtifacts(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		dir := journey.Artifacts(t, "A request", visit(t, w))
		for _, name := range []string{"journey.html", "journey.txt"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
	})
}

// An empty recording draws an empty page.
func TestNothing(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		rec := w.Record(nil)
		var b bytes.Buffer
		if err := journey.HTML(&b, "Nothing", rec); err != nil || journey.Text(rec) != "" {
			t.Errorf("got %v, %q", err, journey.Text(rec))
		}
	})
}

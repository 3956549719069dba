package netfake_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// What libraries ask for when they let their user dial, and how a host gives it to them.
type (
	// http.Transport.DialContext, pgconn.Config.DialFunc, redis.Options.Dialer.
	dialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// grpc.WithContextDialer, mysql.RegisterDialContext.
	dialAddress func(ctx context.Context, address string) (net.Conn, error)
	// pgconn.Config.LookupFunc.
	lookupHost func(ctx context.Context, host string) ([]string, error)
)

// A host, and a dialer with a timeout, in one expression for each of them.
func TestExampleDialFunctions(t *testing.T) { netfake.Run(t, testExampleDialFunctions) }

func testExampleDialFunctions(t *testing.T, w *netfake.World) {
	server := w.Internet().Host("server", "203.0.113.10")
	app := w.Internet().Host("app", "198.51.100.20")
	server.ServeHTTP(":80", http.NotFoundHandler())
	app.SetLookup(func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{server.Addr()}, nil
	})
	hasty := &netfake.Dialer{Host: app, Timeout: 3 * time.Second}

	for _, dial := range []dialContext{app.DialContext, hasty.DialContext, app.Dialer().DialContext} {
		check(t)(dial(t.Context(), "tcp", "web.example:http"))
	}
	for _, dial := range []dialAddress{app.DialTCP, hasty.DialTCP} {
		check(t)(dial(t.Context(), "web.example:80"))
	}
	var lookup lookupHost = app.LookupHost
	if found, err := lookup(t.Context(), "web.example"); err != nil || found[0] != "203.0.113.10" {
		t.Errorf("found %v, %v", found, err)
	}
}

func check(t *testing.T) func(net.Conn, error) {
	return func(c net.Conn, err error) {
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// A site whose IPv6 does not work answers a dual-stack client all the same, 300 ms late:
// an unchanged http.Client over a name with both kinds of addresses.
func TestExampleHappyEyeballs(t *testing.T) { netfake.Run(t, testExampleHappyEyeballs) }

func testExampleHappyEyeballs(t *testing.T, w *netfake.World) {
	site := w.Internet().Host("site", "203.0.113.10")
	client := w.Internet().Host("client", "198.51.100.20", "2001:db8:2::20")
	site.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "hello") }))
	client.SetLookup(func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("2001:db8:1::10"), site.Addr()}, nil
	})

	began := w.Now()
	resp, err := client.HTTPClient().Get("http://site.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	// Connecting and asking take a round trip each, once the fallback has started.
	roundTrip := 4 * netfake.LastMile
	if got, want := w.Now()-began, 300*time.Millisecond+2*roundTrip; got != want {
		t.Errorf("it took %v, want %v", got, want)
	}
}

package netfake

import (
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"testing"
)

// run runs a real program and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on the PATH: the bridge is not tried with it here", name)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// curl fetches a page of a name in the world, and comes from the host that lets it in.
func TestInletCurl(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	names := w.Internet().Host("names", "192.0.2.53")
	serveZone(t, names, zone{"www.shop.example": {"203.0.113.10"}})
	client.SetResolvers(names.Addr())
	server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		from := netip.MustParseAddrPort(r.RemoteAddr)
		fmt.Fprintf(rw, "hello %v, this is %s", from.Addr(), r.Host)
	}))
	rec := w.Record(func(f Flow) bool { return f.Proto == TCP })
	at := client.Inlet("tcp", "www.shop.example:80")
	got := run(t, "curl", "--silent", "--max-time", "20", "--noproxy", "*",
		"--connect-to", "www.shop.example:80:"+at.String(), "http://www.shop.example/")
	if got != "hello 198.51.100.20, this is www.shop.example" {
		t.Errorf("curl got %q", got)
	}
	traces := rec.Traces()
	if len(traces) == 0 || !traces[0].Passed(w.Internet()) {
		t.Errorf("the packets did not pass the internet: %v", traces)
	}
}

// dig asks a name server in the world.
func TestInletDig(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	serveZone(t, server, zone{"www.shop.example": {"203.0.113.80"}})
	at := client.Inlet("udp", "203.0.113.10:53")
	got := run(t, "dig", "@"+at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+short", "+tries=1", "+time=20", "www.shop.example")
	if got != "203.0.113.80\n" {
		t.Errorf("dig got %q", got)
	}
}

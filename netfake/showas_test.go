package netfake_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// What is known as another address is shown as that: in drops, in the table of sockets and in the
// report. Nothing else changes, and the first who knows an address decides.
func TestShowAs(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		server, client := w.Internet().Host("server", "203.0.113.1"), w.Internet().Host("client", "203.0.113.2")
		if _, err := server.Listen("tcp", ":80"); err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial("tcp", "203.0.113.1:80")
		if err != nil {
			t.Fatal(err)
		}
		u, err := client.Dial("udp", "203.0.113.1:9")
		if err != nil {
			t.Fatal(err)
		}
		server.Crash() // what is sent has nowhere to go
		c.Write([]byte("x"))
		u.Write([]byte("x"))
		w.Sleep(time.Second)
		as := func(what, with string) func(netip.Addr) netip.Addr {
			return func(addr netip.Addr) netip.Addr {
				if addr == netip.MustParseAddr(what) {
					return netip.MustParseAddr(with)
				}
				return addr
			}
		}
		const before, after = "203.0.113.1:80", "10.9.9.9:80"
		shown := func() []string {
			return []string{w.Drops()[len(w.Drops())-1].Flow.String(), w.Sockets(), w.Report()}
		}
		for _, text := range shown() {
			if !strings.Contains(text, before) || strings.Contains(text, after) {
				t.Errorf("before: %s", text)
			}
		}
		w.ShowAs(as("203.0.113.77", "10.7.7.7"))
		w.ShowAs(as("203.0.113.1", "10.9.9.9"))
		w.ShowAs(as("203.0.113.1", "10.8.8.8"))
		for _, text := range shown() {
			if !strings.Contains(text, after) || strings.Contains(text, "10.8.8.8") {
				t.Errorf("after: %s", text)
			}
		}
		if got := c.RemoteAddr().String(); got != before {
			t.Errorf("the server is at %s", got)
		}
	})
}

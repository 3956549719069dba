package netfake

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A host does not take from outside what only it can have sent, as Linux (6.18) does not: the
// classic is a load balancer that preserves the client's address and chooses the client.
func TestMartians(t *testing.T) {
	const other = "192.0.2.9:1000"
	for _, row := range []struct {
		name     string
		src, dst string // what a middlebox writes, "" for what is there
		taken    bool
		hosts    func(*World) (server, client *Host)
	}{
		{"IPv4: from itself", "", "198.51.100.20:9", false, twoHosts},
		{"IPv4: from another of its addresses", "198.51.100.21:1000", "198.51.100.20:9", false, twoHosts},
		{"IPv4: from itself to another of its addresses", "", "198.51.100.21:9", false, twoHosts},
		{"IPv4: from another, to its second address", other, "198.51.100.21:9", true, twoHosts},
		{"IPv4: from another", other, "198.51.100.20:9", true, twoHosts},
		{"IPv4: to the loopback", other, "127.0.0.1:9", false, twoHosts},
		{"IPv4: from the loopback", "127.0.0.1:1000", "198.51.100.20:9", false, twoHosts},
		{"IPv4: from a group", "224.0.0.1:1000", "198.51.100.20:9", false, twoHosts},
		{"IPv4: from everybody", "255.255.255.255:1000", "198.51.100.20:9", false, twoHosts},
		{"IPv4: from nobody", "0.0.0.0:1000", "198.51.100.20:9", false, twoHosts},
		{"IPv6: from itself, which Linux does not mind", "", "[2001:db8::20]:9", true, onlyIPv6},
		{"IPv6: from another of its addresses, the same", "[2001:db8::21]:1000", "[2001:db8::20]:9", true, onlyIPv6},
		{"IPv6: from another", "[2001:db8:9::9]:1000", "[2001:db8::20]:9", true, onlyIPv6},
		{"IPv6: to the loopback", "[2001:db8:9::9]:1000", "[::1]:9", false, onlyIPv6},
		{"IPv6: from the loopback", "[::1]:1000", "[2001:db8::20]:9", false, onlyIPv6},
		{"IPv6: from a group", "[ff02::5]:1000", "[2001:db8::20]:9", false, onlyIPv6},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := row.hosts(w)
				for _, also := range []string{"198.51.100.21", "2001:db8::21"} {
					addr := netip.MustParseAddr(also)
					if addr.Is4() == client.Addr().Is4() {
						client.AddNIC(addr, InternetMTU, client.Uplink())
					}
				}
				b := &box{name: "hairpin"}
				b.step = func(p *Packet) Next {
					if row.src != "" {
						p.SetSrc(netip.MustParseAddrPort(row.src))
					}
					p.SetDst(netip.MustParseAddrPort(row.dst))
					return p.To(client)
				}
				client.Uplink().Link().Insert(b)
				in, err := client.listenUDP("udp", ":9")
				if err != nil {
					t.Fatal(err)
				}
				probe := client.Probe(server.UDP(9))
				c := dialUDPFrom(t, client, 1000, openUDP(t, server, 9))
				c.Write([]byte("x"))
				got, err := read(in)
				if taken := err == nil; taken != row.taken || taken && string(got) != "x" {
					t.Errorf("read %q, %v", got, err)
				}
				blocker := probe.Forward.Blocker()
				if (blocker == nil) != row.taken || blocker != nil && !strings.HasPrefix(blocker.Rule, "martian: ") {
					t.Errorf("a probe is blocked by %+v", blocker)
				}

				// What has not left the host is none.
				for _, to := range []netip.Addr{client.Addr(), in.at.Addr()} {
					own, err := client.Dial("udp", netip.AddrPortFrom(to, 9).String())
					if err != nil {
						t.Fatal(err)
					}
					own.Write([]byte("own"))
					if got, err := read(in); string(got) != "own" {
						t.Errorf("of itself, by %v: %q, %v", to, got, err)
					}
				}
			})
		})
	}
}

// A packet that stays in its host is no martian, also if the host is paused meanwhile.
func TestMartianPaused(t *testing.T) { Run(t, testMartianPaused) }

func testMartianPaused(t *testing.T, w *World) {
	_, client := twoHosts(w)
	in := openUDP(t, client, 9)
	c, err := client.Dial("udp", client.UDP(9).Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	pause := client.Pause()
	c.Write([]byte("x"))
	time.Sleep(time.Second)
	pause.Undo()
	if got, err := read(in); string(got) != "x" {
		t.Errorf("read %q, %v", got, err)
	}
}

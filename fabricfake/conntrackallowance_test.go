package fabricfake_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// Beyond its allowance an instance's new connections are dropped and counted; those that
// are tracked go on, those that are not do not count, and what has idled out makes room.
func TestConntrackAllowance(t *testing.T) { netfake.Run(t, testConntrackAllowance) }

func testConntrackAllowance(t *testing.T, w *netfake.World) {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	s := v.Subnet("s", "10.0.1.0/24", "a")
	web := v.SecurityGroup("web").AllowIngress("udp/53", fabricfake.CIDR("10.0.0.0/16")).AllowIngress("udp/99", fabricfake.Anywhere)
	server := s.Instance("server", fabricfake.InstanceConfig{Groups: fabricfake.Groups{web}})
	client := s.Instance("client", fabricfake.InstanceConfig{})
	for _, port := range []string{":53", ":99"} {
		u, err := server.ListenPacket("udp", port)
		if err != nil {
			t.Fatal(err)
		}
		w.Go(func(ctx context.Context) { echo(u) })
	}
	server.SetConntrackAllowance(2)
	ask := func(from, port string) bool {
		t.Helper()
		u, err := client.ListenPacket("udp", from)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		u.WriteTo([]byte("hi"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server.Addr().String()+port)))
		u.SetReadDeadline(time.Now().Add(time.Second))
		_, _, err = u.ReadFrom(make([]byte, 9))
		return err == nil
	}
	type metrics = fabricfake.ConntrackMetrics
	for _, row := range []struct {
		what       string
		from, port string
		answered   bool
		want       metrics
	}{
		{"the first", ":1001", ":53", true, metrics{1, 1, 0}},
		{"the second", ":1002", ":53", true, metrics{2, 0, 0}},
		// fact: ct.capacity
		{"one too many", ":1003", ":53", false, metrics{2, 0, 1}},
		{"one that is tracked", ":1001", ":53", true, metrics{2, 0, 1}},
		{"one that goes untracked", ":1003", ":99", true, metrics{2, 0, 1}},
		{"again one too many", ":1003", ":53", false, metrics{2, 0, 2}},
	} {
		if got := ask(row.from, row.port); got != row.answered || server.ConntrackMetrics() != row.want {
			t.Errorf("%s: answered %v, %+v; want %v, %+v", row.what, got, server.ConntrackMetrics(), row.answered, row.want)
		}
	}
	r := client.Probe(server.UDP(53))
	if b := r.Blocker(); b == nil || b.Code != "CONNTRACK_ALLOWANCE_EXCEEDED" || server.ConntrackMetrics().Exceeded != 2 {
		t.Errorf("a probe, which is not counted: %+v\n%v", server.ConntrackMetrics(), r)
	}

	w.Sleep(180 * time.Second)
	if m := server.ConntrackMetrics(); m != (metrics{0, 2, 2}) {
		t.Errorf("after they have idled out: %+v", m)
	}
	if r := client.Probe(server.UDP(53)); r.Blocker() != nil {
		t.Errorf("a probe, with room:\n%v", r)
	}
	if !ask(":1003", ":53") || server.ConntrackMetrics() != (metrics{1, 1, 2}) {
		t.Errorf("with room: %+v", server.ConntrackMetrics())
	}
	server.SetConntrackAllowance(0)
	for _, from := range []string{":1004", ":1005", ":1006"} {
		if !ask(from, ":53") {
			t.Errorf("without an allowance nothing came back to %s", from)
		}
	}
	if m := server.ConntrackMetrics(); m != (metrics{4, 0, 2}) {
		t.Errorf("without an allowance: %+v", m)
	}
}

// echo answers datagrams with what they say.
func echo(u net.PacketConn) {
	b := make([]byte, 100)
	for {
		n, from, err := u.ReadFrom(b)
		if err != nil {
			return
		}
		u.WriteTo(b[:n], from)
	}
}

// An allowance is not negative.
func TestConntrackAllowanceRefuses(t *testing.T) {
	set := func(n int) func(w *netfake.World) {
		return func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			v.Subnet("s", "10.0.1.0/24", "a").Instance("i", fabricfake.InstanceConfig{}).SetConntrackAllowance(n)
		}
	}
	if text := fatal(t, set(-1)); !strings.Contains(text, "InvalidParameterValue: an allowance of -1 connections") {
		t.Errorf("-1: %q", text)
	}
	if text := fatal(t, set(0)); text != "" {
		t.Errorf("0: %q", text)
	}
}

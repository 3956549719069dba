package netfake

import (
	"strings"
	"syscall"
	"testing"
)

// Without an IPv6 address a host is a machine whose kernel has no IPv6: its wildcards are
// IPv4's, [::1] is not there, and a socket that wants IPv6 alone cannot be made.
func TestBindWithoutIPv6(t *testing.T) { Run(t, testBindWithoutIPv6) }

func testBindWithoutIPv6(t *testing.T, w *World) {
	only4 := w.Internet().Host("only4", "203.0.113.10")
	only6 := w.Internet().Host("only6", "2001:db8::a")
	for _, row := range []struct {
		host    *Host
		network string
		address string
		at      string // "" if it fails
		err     error
	}{
		{only4, "tcp", ":80", "0.0.0.0:80", nil},
		{only4, "tcp", "[::]:81", "0.0.0.0:81", nil},
		{only4, "tcp4", ":82", "0.0.0.0:82", nil},
		{only4, "tcp6", ":83", "", syscall.EAFNOSUPPORT},
		{only4, "tcp", "[::1]:84", "", syscall.EADDRNOTAVAIL},
		{only4, "tcp", "localhost:85", "127.0.0.1:85", nil},
		{only4, "udp", ":80", "0.0.0.0:80", nil},
		{only4, "udp6", ":83", "", syscall.EAFNOSUPPORT},

		// A host without an IPv4 address has IPv4's loopback still, as any Linux does.
		{only6, "tcp", ":80", "[::]:80", nil},
		{only6, "tcp4", ":81", "0.0.0.0:81", nil},
		{only6, "tcp6", ":82", "[::]:82", nil},
		{only6, "tcp6", "localhost:83", "[::1]:83", nil},
		{only6, "tcp", "127.0.0.1:84", "127.0.0.1:84", nil},
		{only6, "tcp", "203.0.113.10:85", "", syscall.EADDRNOTAVAIL},
		{only6, "udp", ":80", "[::]:80", nil},
	} {
		at, err := bindAt(row.host, row.network, row.address)
		if at != row.at {
			t.Errorf("%v %s %s is bound to %q, want %q", row.host, row.network, row.address, at, row.at)
		}
		want(t, row.host.Name()+" "+row.network+" "+row.address, err, row.err)
	}
	if _, err := only6.Listen("tcp", "[fe80::1%eth0]:90"); err == nil || !strings.Contains(err.Error(), "zones are not modelled") {
		t.Errorf("a zone: %v", err)
	}
}

func bindAt(h *Host, network, address string) (string, error) {
	if strings.HasPrefix(network, "udp") {
		c, err := h.ListenPacket(network, address)
		if err != nil {
			return "", err
		}
		return c.LocalAddr().String(), nil
	}
	l, err := h.Listen(network, address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), nil
}

// A host cannot send to a family of which it has no address; to its own loopback it can.
func TestDialWithoutFamily(t *testing.T) { Run(t, testDialWithoutFamily) }

func testDialWithoutFamily(t *testing.T, w *World) {
	hosts := map[string]*Host{
		"only4": w.Internet().Host("only4", "203.0.113.10"),
		"only6": w.Internet().Host("only6", "2001:db8::a"),
		"both":  w.Internet().Host("both", "203.0.113.20", "2001:db8::b"),
	}
	for _, h := range hosts {
		echoServer(t, h, ":9")
	}
	for _, row := range []struct {
		from, address string
		err           error
	}{
		{"only4", "203.0.113.20:9", nil},
		{"only4", "[2001:db8::b]:9", syscall.ENETUNREACH},
		{"only4", "[::1]:9", syscall.ENETUNREACH},
		{"only6", "[2001:db8::b]:9", nil},
		{"only6", "203.0.113.20:9", syscall.ENETUNREACH},
		{"only6", "127.0.0.1:9", nil},
		{"both", "203.0.113.10:9", nil},
		{"both", "[2001:db8::a]:9", nil},
		{"both", "[::1]:9", nil},
	} {
		for _, network := range []string{"tcp", "udp"} {
			_, err := hosts[row.from].Dial(network, row.address)
			want(t, row.from+" dials "+network+" "+row.address, err, row.err)
		}
	}
}

// Port 0 of a dual-stack socket is free in both families.
func TestPortZeroOfBothFamilies(t *testing.T) { Run(t, testPortZeroOfBothFamilies) }

func testPortZeroOfBothFamilies(t *testing.T, w *World) {
	h := w.Internet().Host("both", "203.0.113.20", "2001:db8::b")
	for range 50 {
		for _, network := range []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"} {
			if _, err := bindAt(h, network, ":0"); err != nil {
				t.Fatalf("%s: %v", network, err)
			}
		}
	}
	l, err := h.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Listen("tcp", l.Addr().String()[len("0.0.0.0"):])
	want(t, "the same port for both families", err, syscall.EADDRINUSE)
}

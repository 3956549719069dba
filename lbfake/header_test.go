package lbfake

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestForwardedFor(t *testing.T) {
	peer := netip.MustParseAddr("198.51.100.20")
	for _, row := range []struct {
		mode XFFMode
		came []string
		want []string
	}{
		// Append creates the header, or adds the peer at its end.
		{XFFAppend, nil, []string{"198.51.100.20"}},
		{XFFAppend, []string{"203.0.113.7"}, []string{"203.0.113.7, 198.51.100.20"}},
		{XFFAppend, []string{"203.0.113.7", "10.1.1.1"}, []string{"203.0.113.7, 10.1.1.1, 198.51.100.20"}},
		// Preserve leaves it, be it absent.
		{XFFPreserve, nil, nil},
		{XFFPreserve, []string{"203.0.113.7"}, []string{"203.0.113.7"}},
		// Remove removes it.
		{XFFRemove, []string{"203.0.113.7"}, nil},
	} {
		if got := forwardedFor(row.mode, row.came, peer); !slices.Equal(got, row.want) {
			t.Errorf("%v of %q gives %q, want %q", row.mode, row.came, got, row.want)
		}
	}
	if n := forwardedCount([]string{"a, b", "c,", ""}); n != 3 {
		t.Errorf("counted %d addresses, want 3", n)
	}
}

func TestTraceHeader(t *testing.T) {
	const field = "1-67891233-abcdef012345678912345678"
	for _, row := range []struct{ rule, came, want string }{
		{"absent: a Root", "", "Root=" + field},
		{"with a Root: a Self in front", "Root=1-1-a", "Self=" + field + ";Root=1-1-a"},
		{"with a Self: another", "Self=1-2-b;Root=1-1-a", "Self=" + field + ";Root=1-1-a"},
		{"other fields stay", "Root=1-1-a;CalledFrom=app", "Self=" + field + ";Root=1-1-a;CalledFrom=app"},
		{"without a Root: one", "CalledFrom=app", "Root=" + field + ";CalledFrom=app"},
		{"too long: thrown away", "Root=1-1-a;x=" + strings.Repeat("x", maxTraceHeader), "Root=" + field},
	} {
		if got := traceHeader(row.came, field); got != row.want {
			t.Errorf("%s: got %q, want %q", row.rule, got, row.want)
		}
	}
	if got, want := traceField(time.Unix(0x67891233, 5), 0x1abcdef01, 0x2345678912345678), "1-67891233-abcdef012345678912345678"; got != want {
		t.Errorf("a field is %q, want %q", got, want)
	}
}

func TestHostHeader(t *testing.T) {
	for _, row := range []struct {
		came string
		port uint16
		want string
	}{
		// In lower case.
		{"WWW.Example.com", 80, "www.example.com"},
		// No port on a default port.
		{"example.com:80", 80, "example.com"},
		{"example.com:443", 443, "example.com"},
		// One on any other.
		{"example.com", 8080, "example.com:8080"},
		{"example.com:8080", 8080, "example.com:8080"},
		// HTTP/1.0 without Host.
		{"", 80, "web-1.elb.amazonaws.com"},
		{"[2001:DB8::1]", 8080, "[2001:db8::1]:8080"},
	} {
		if got := hostHeader(row.came, row.port, "web-1.elb.amazonaws.com"); got != row.want {
			t.Errorf("Host %q on port %d becomes %q, want %q", row.came, row.port, got, row.want)
		}
	}
}

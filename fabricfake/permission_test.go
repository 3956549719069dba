package fabricfake

import (
	"testing"

	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

func TestParsePermission(t *testing.T) {
	for _, row := range []struct {
		in   string
		want Permission
		text string
	}{
		// TCP and UDP: a port, a range, or all of them.
		{"tcp/443", Permission{netfake.TCP, 443, 443}, "tcp/443"},
		{"tcp/1024-65535", Permission{netfake.TCP, 1024, 65535}, "tcp/1024-65535"},
		{"udp/53", Permission{netfake.UDP, 53, 53}, "udp/53"},
		{"udp/0-53", Permission{netfake.UDP, 0, 53}, "udp/0-53"},
		{"tcp/7-7", Permission{netfake.TCP, 7, 7}, "tcp/7"},
		{"tcp", Permission{netfake.TCP, 0, 65535}, "tcp/all"},
		{"tcp/all", Permission{netfake.TCP, 0, 65535}, "tcp/all"},
		{"udp/0-65535", Permission{netfake.UDP, 0, 65535}, "udp/all"},
		// ICMP: type and code, -1 for any.
		{"icmp", Permission{netfake.ICMP, -1, -1}, "icmp"},
		{"icmp/8", Permission{netfake.ICMP, 8, -1}, "icmp/8"},
		{"icmp/3/4", Permission{netfake.ICMP, 3, 4}, "icmp/3/4"},
		{"icmp/0/0", Permission{netfake.ICMP, 0, 0}, "icmp/0/0"},
		{"icmpv6/2", Permission{netfake.ICMPv6, 2, -1}, "icmpv6/2"},
		// Everything, as the API writes it and in a word.
		{"all", Permission{}, "all"},
		{"-1", Permission{}, "all"},
		// Another protocol has no ports; one with a name is what its name is.
		{"proto/50", Permission{Proto: 50}, "proto/50"},
		{"proto/6", Permission{netfake.TCP, 0, 65535}, "tcp/all"},
		{"proto/1", Permission{netfake.ICMP, -1, -1}, "icmp"},
	} {
		got, err := ParsePermission(row.in)
		if err != nil || got != row.want || got.String() != row.text {
			t.Errorf("%q: got %+v (%v), %v; want %+v (%s)", row.in, got, got, err, row.want, row.text)
		}
	}
}

func TestParsePermissionRefuses(t *testing.T) {
	for _, in := range []string{
		"", "/", "443", "tcp/", "tcp/x", "tcp/-1", "tcp/+1", "tcp/65536", "tcp/80-", "tcp/-80", "tcp/81-80",
		"tcp/80-81-82", "tcp/ 80", "TCP/80", "udp/1_000", "icmp/", "icmp/256", "icmp/8/", "icmp/8/256",
		"icmp/8/0/0", "icmp/-1", "proto/", "proto/0", "proto/256", "proto/50/1", "proto", "all/80", "-1/80", "sctp/1",
	} {
		p, err := ParsePermission(in)
		if codeOf(err) != codeParameterValue {
			t.Errorf("%q: got %v, %v; want %s", in, p, err, codeParameterValue)
		}
	}
}

func FuzzParsePermission(f *testing.F) {
	for _, s := range []string{"tcp/443", "udp/1-2", "icmp/3/4", "all", "proto/47", "tcp/81-80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePermission(s)
		if err != nil {
			return
		}
		if again, err := ParsePermission(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, whose text %q is %+v, %v", s, p, p, again, err)
		}
	})
}

func TestPermissionMatches(t *testing.T) {
	for _, row := range []struct {
		perm       string
		proto      netfake.Protocol
		port       uint16
		typ, code  uint8
		want       bool
		wantOpened bool // the permission opens every port of proto
	}{
		// A range includes both its ends.
		// fact: sg.proto.ports, acl.proto.ports
		{"tcp/80-90", netfake.TCP, 79, 0, 0, false, false},
		// fact: sg.proto.ports, acl.proto.ports
		{"tcp/80-90", netfake.TCP, 80, 0, 0, true, false},
		{"tcp/80-90", netfake.TCP, 90, 0, 0, true, false},
		{"tcp/80-90", netfake.TCP, 91, 0, 0, false, false},
		{"tcp", netfake.TCP, 65535, 0, 0, true, true},
		// The protocol counts.
		{"tcp/53", netfake.UDP, 53, 0, 0, false, false},
		{"udp/53", netfake.UDP, 53, 0, 0, true, false},
		{"tcp", netfake.UDP, 53, 0, 0, false, false},
		// ICMP by type and code.
		{"icmp", netfake.ICMP, 9, 3, 4, true, false},
		// fact: sg.proto.icmp, acl.proto.icmp
		{"icmp/3", netfake.ICMP, 9, 3, 4, true, false},
		{"icmp/3/4", netfake.ICMP, 9, 3, 4, true, false},
		// fact: sg.proto.icmp, acl.proto.icmp
		{"icmp/3/1", netfake.ICMP, 9, 3, 4, false, false},
		{"icmp/8", netfake.ICMP, 9, 0, 0, false, false},
		{"icmp/0", netfake.ICMP, 9, 0, 0, true, false},
		// All traffic, and other protocols, ignore ports.
		{"all", netfake.TCP, 1, 0, 0, true, true},
		{"all", netfake.ICMP, 0, 8, 0, true, true},
		// fact: sg.proto.all
		{"all", 50, 0, 0, 0, true, true},
		// fact: sg.proto.all, acl.proto.others
		{"proto/50", 50, 0, 0, 0, true, false},
		// fact: sg.proto.all, acl.proto.others
		{"proto/50", 51, 0, 0, 0, false, false},
	} {
		p, err := ParsePermission(row.perm)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.matches(row.proto, row.port, row.typ, row.code); got != row.want {
			t.Errorf("%v matches %v port %d, %d/%d: %v", p, row.proto, row.port, row.typ, row.code, got)
		}
		if row.proto == netfake.TCP || row.proto == netfake.UDP {
			if got := p.opens(row.proto); got != row.wantOpened {
				t.Errorf("%v opens all of %v: %v", p, row.proto, got)
			}
		}
	}
}

// drawPermission draws from so few values that rules and packets meet.
var drawPermission = rapid.Custom(func(t *rapid.T) Permission {
	p, err := ParsePermission(rapid.SampledFrom([]string{
		"all", "tcp", "udp", "tcp/80", "tcp/80-90", "tcp/85-443", "udp/53", "udp/53-90", "icmp", "icmp/8", "icmp/3/4", "icmpv6", "icmpv6/8", "proto/50",
	}).Draw(t, "perm"))
	if err != nil {
		t.Fatal(err)
	}
	return p
})

// naiveMatches says in one expression what Permission.matches does.
func naiveMatches(p Permission, f netfake.Flow, typ, code uint8) bool {
	port := int(f.Dst.Port())
	hasPorts, hasTypes := f.Proto == netfake.TCP || f.Proto == netfake.UDP, f.Proto == netfake.ICMP || f.Proto == netfake.ICMPv6
	return p.Proto == 0 ||
		p.Proto == f.Proto && hasPorts && p.From <= port && port <= p.To ||
		p.Proto == f.Proto && hasTypes && (p.From < 0 || p.From == int(typ)) && (p.To < 0 || p.To == int(code)) ||
		p.Proto == f.Proto && !hasPorts && !hasTypes
}

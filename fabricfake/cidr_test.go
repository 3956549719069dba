package fabricfake

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseVPCBlock(t *testing.T) {
	for _, row := range []struct{ in, want, code string }{
		// A VPC's block is between /16 and /28.
		{"10.0.0.0/16", "10.0.0.0/16", ""},
		// fact: vpc.size
		{"10.0.0.0/28", "10.0.0.0/28", ""},
		// fact: vpc.size
		{"10.0.0.0/15", "", codeVPCRange},
		// fact: vpc.size
		{"10.0.0.0/29", "", codeVPCRange},
		// Host bits are zeroed.
		// fact: vpc.hostbits
		{"100.68.0.18/18", "100.68.0.0/18", ""},
		{"10.142.13.13/16", "10.142.0.0/16", ""},
		// Public ranges are allowed.
		// fact: vpc.public
		{"203.0.113.0/24", "203.0.113.0/24", ""},
		// Some blocks are forbidden, and what lies beside them is not.
		// fact: vpc.forbidden
		{"0.1.0.0/16", "", codeVPCRange},
		{"1.0.0.0/16", "1.0.0.0/16", ""},
		// fact: vpc.forbidden
		{"127.0.0.0/24", "", codeVPCRange},
		{"128.0.0.0/24", "128.0.0.0/24", ""},
		// fact: vpc.forbidden
		{"169.254.0.0/16", "", codeVPCRange},
		{"169.253.0.0/16", "169.253.0.0/16", ""},
		// fact: vpc.forbidden
		{"239.1.0.0/16", "", codeVPCRange},
		{"223.255.0.0/16", "223.255.0.0/16", ""},
		// What is no block at all.
		{"10.0.0.0", "", codeParameterValue},
		{"10.0.0/16", "", codeParameterValue},
		{"", "", codeParameterValue},
		{"fd00::/56", "", codeParameterValue},
	} {
		got, err := parseVPCBlock(row.in)
		wantCode(t, row.in, err, row.code)
		if err == nil && got.String() != row.want {
			t.Errorf("%s: got %v, want %s", row.in, got, row.want)
		}
	}
}

func TestParseSubnetBlock(t *testing.T) {
	vpc := blocks("10.0.0.0/16", "100.64.0.0/20")
	siblings := blocks("10.0.1.0/24", "10.0.128.0/17")
	for _, row := range []struct{ in, code string }{
		// A subnet's block is between /16 and /28.
		{"10.0.0.0/24", ""},
		// fact: subnet.size
		{"10.0.0.0/28", ""},
		// fact: subnet.size
		{"10.0.0.0/29", codeSubnetRange},
		// fact: subnet.size
		{"10.0.0.0/15", codeSubnetRange},
		// It lies in one of the VPC's blocks, the secondary ones included.
		// fact: subnet.inside
		{"100.64.0.0/20", ""},
		// fact: subnet.inside
		{"100.64.16.0/24", codeSubnetRange},
		{"100.64.0.0/19", codeSubnetRange},
		// fact: subnet.inside
		{"10.1.0.0/24", codeSubnetRange},
		// It overlaps no sibling: equal, larger, smaller; neighbours are fine.
		// fact: subnet.overlap
		{"10.0.1.0/24", codeSubnetConflict},
		{"10.0.1.128/25", codeSubnetConflict},
		{"10.0.0.0/23", codeSubnetConflict},
		// fact: subnet.overlap
		{"10.0.2.0/24", ""},
		{"10.0.200.0/24", codeSubnetConflict},
		{"10.0.0.0/16", codeSubnetConflict},
		{"10.0.0.0", codeParameterValue},
	} {
		_, err := parseSubnetBlock(row.in, vpc, siblings)
		wantCode(t, row.in, err, row.code)
	}

	// It may be the whole VPC.
	// fact: subnet.whole
	if p, err := parseSubnetBlock("10.0.3.3/16", vpc, nil); err != nil || p != vpc[0] {
		t.Errorf("whole VPC: got %v, %v", p, err)
	}
}

func TestCheckSecondary(t *testing.T) {
	for _, row := range []struct{ existing, routes, add, code string }{
		// 10/8: no other private range, not 198.19/16.
		// fact: vpc.mix.10.may
		{"10.4.0.0/16", "", "10.5.0.0/16", ""},
		{"10.4.0.0/16", "", "10.0.0.0/16", ""},
		// fact: vpc.mix.10
		{"10.4.0.0/16", "", "172.16.0.0/16", codeVPCRange},
		// fact: vpc.mix.10
		{"10.4.0.0/16", "", "192.168.0.0/24", codeVPCRange},
		// fact: vpc.mix.10
		{"10.4.0.0/16", "", "198.19.0.0/24", codeVPCRange},
		{"10.4.0.0/16", "", "198.18.0.0/24", ""},
		// fact: vpc.mix.10.may
		{"10.4.0.0/16", "", "100.64.0.0/16", ""},
		// fact: vpc.mix.10.may
		{"10.4.0.0/16", "", "203.0.113.0/24", ""},
		// A block in 10.0.0.0/15 keeps out 10.0.0.0/16.
		// fact: vpc.mix.10.15
		{"10.0.0.0/24", "", "10.0.1.0/24", codeVPCRange},
		// fact: vpc.mix.10.15
		{"10.1.0.0/16", "", "10.0.1.0/24", codeVPCRange},
		// fact: vpc.mix.10.15
		{"10.1.0.0/16", "", "10.2.0.0/16", ""},
		{"10.1.0.0/16", "", "172.16.0.0/16", codeVPCRange},
		// fact: vpc.mix.10
		{"10.4.0.0/16", "", "172.31.255.0/24", codeVPCRange},
		// fact: vpc.mix.10.may
		{"10.4.0.0/16", "", "10.255.0.0/16", ""},
		// 172.16/12: not 172.31/16 either.
		// fact: vpc.mix.172.may
		{"172.16.0.0/16", "", "172.17.0.0/16", ""},
		// fact: vpc.mix.172
		{"172.16.0.0/16", "", "172.31.0.0/20", codeVPCRange},
		// fact: vpc.mix.172
		{"172.16.0.0/16", "", "10.5.0.0/16", codeVPCRange},
		// fact: vpc.mix.172
		{"172.16.0.0/16", "", "192.168.0.0/16", codeVPCRange},
		// fact: vpc.mix.172
		{"172.16.0.0/16", "", "198.19.0.0/16", codeVPCRange},
		// fact: vpc.mix.172.may
		{"172.16.0.0/16", "", "100.64.0.0/16", ""},
		// fact: vpc.mix.172
		{"172.16.0.0/16", "", "198.19.255.0/24", codeVPCRange},
		// fact: vpc.mix.172.may
		{"172.16.0.0/16", "", "172.30.0.0/16", ""},
		// fact: vpc.mix.172.may
		{"172.16.0.0/16", "", "203.0.113.0/24", ""},
		// fact: vpc.mix.172.may
		{"172.31.0.0/20", "", "172.30.0.0/16", ""},
		// 192.168/16
		// fact: vpc.mix.192.may
		{"192.168.0.0/20", "", "192.168.16.0/20", ""},
		// fact: vpc.mix.192
		{"192.168.0.0/20", "", "10.5.0.0/16", codeVPCRange},
		// fact: vpc.mix.192
		{"192.168.0.0/20", "", "172.16.0.0/16", codeVPCRange},
		// fact: vpc.mix.192
		{"192.168.0.0/20", "", "198.19.0.0/16", codeVPCRange},
		// fact: vpc.mix.192.may
		{"192.168.0.0/20", "", "8.8.0.0/16", ""},
		// fact: vpc.mix.192.may
		{"192.168.0.0/20", "", "100.127.0.0/16", ""},
		// 198.19/16: nothing private.
		// fact: vpc.mix.198
		{"198.19.0.0/20", "", "10.5.0.0/16", codeVPCRange},
		// fact: vpc.mix.198
		{"198.19.0.0/20", "", "172.20.0.0/16", codeVPCRange},
		// fact: vpc.mix.198
		{"198.19.0.0/20", "", "192.168.0.0/24", codeVPCRange},
		// fact: vpc.mix.198.may
		{"198.19.0.0/20", "", "203.0.113.0/24", ""},
		// fact: vpc.mix.198.may
		{"198.19.0.0/20", "", "100.64.0.0/16", ""},
		// Public or shared: nothing private, unless a private block was first.
		// fact: vpc.mix.public
		{"100.64.0.0/16", "", "10.5.0.0/16", codeVPCRange},
		// fact: vpc.mix.public
		{"203.0.113.0/24", "", "192.168.0.0/24", codeVPCRange},
		// fact: vpc.mix.public
		{"203.0.113.0/24", "", "198.19.0.0/24", codeVPCRange},
		// fact: vpc.mix.public
		{"100.64.0.0/16", "", "172.20.0.0/16", codeVPCRange},
		// fact: vpc.mix.public
		{"100.64.0.0/16", "", "192.168.0.0/24", codeVPCRange},
		// fact: vpc.mix.public
		{"100.64.0.0/16", "", "198.19.0.0/24", codeVPCRange},
		// fact: vpc.mix.public
		{"203.0.113.0/24", "", "10.5.0.0/16", codeVPCRange},
		// fact: vpc.mix.public
		{"203.0.113.0/24", "", "172.16.0.0/16", codeVPCRange},
		// fact: vpc.mix.public.may
		{"203.0.113.0/24", "", "100.64.0.0/16", ""},
		// fact: vpc.mix.public.may
		{"10.4.0.0/16 100.64.0.0/16", "", "10.5.0.0/16", ""},
		{"10.4.0.0/16 100.64.0.0/16", "", "172.16.0.0/16", codeVPCRange},
		{"10.4.0.0/16 100.64.0.0/16", "", "198.19.0.0/16", codeVPCRange},
		// No overlap.
		// fact: vpc.secondary.overlap
		{"10.4.0.0/16", "", "10.4.3.0/24", codeVPCRange},
		{"10.4.3.0/24", "", "10.4.0.0/16", codeVPCRange},
		// Not as large as a route's destination, or larger.
		// fact: vpc.secondary.routes
		{"10.4.0.0/16", "10.4.0.0/16 10.5.0.0/24", "10.5.0.0/24", codeVPCRange},
		// fact: vpc.secondary.routes
		{"10.4.0.0/16", "10.4.0.0/16 10.5.0.0/24", "10.5.0.0/16", codeVPCRange},
		// fact: vpc.secondary.routes
		{"10.4.0.0/16", "10.4.0.0/16 10.5.0.0/24", "10.5.0.0/25", ""},
		{"10.4.0.0/16", "0.0.0.0/0", "10.5.0.0/16", ""},
		// Five blocks.
		// fact: vpc.secondary.quota
		{"10.4.0.0/24 10.5.0.0/24 10.6.0.0/24 10.7.0.0/24", "", "10.8.0.0/24", ""},
		// fact: vpc.secondary.quota
		{"10.4.0.0/24 10.5.0.0/24 10.6.0.0/24 10.7.0.0/24 10.8.0.0/24", "", "10.9.0.0/24", codeCIDRLimit},
	} {
		existing, routes := blocks(strings.Fields(row.existing)...), blocks(strings.Fields(row.routes)...)
		err := checkSecondary(existing, routes, netip.MustParsePrefix(row.add))
		wantCode(t, row.existing+" + "+row.add, err, row.code)
	}
}

// A /28 yields 11 addresses: 16 without network, router, resolver, one for the future
// and the last.
// fact: subnet.reserved.count
func TestReserved(t *testing.T) {
	subnet := netip.MustParsePrefix("10.0.0.16/28")
	free := ""
	for a := netip.MustParseAddr("10.0.0.14"); a.String() != "10.0.0.34"; a = a.Next() {
		if subnet.Contains(a) && !reserved(subnet, a) {
			free += a.String() + " "
		}
	}
	const want = "10.0.0.20 10.0.0.21 10.0.0.22 10.0.0.23 10.0.0.24 10.0.0.25 " +
		"10.0.0.26 10.0.0.27 10.0.0.28 10.0.0.29 10.0.0.30 "
	if free != want {
		t.Errorf("free: %s, want %s", free, want)
	}
	if reserved(subnet, netip.MustParseAddr("10.0.0.32")) {
		t.Error("an address of another subnet is reserved in this one")
	}
}

func TestAllocatorTake(t *testing.T) {
	a := newAllocator(netip.MustParsePrefix("10.0.1.0/24"))
	if a.available() != 251 {
		t.Errorf("a new /24 has %d free addresses, want 251", a.available())
	}
	for _, row := range []struct{ addr, code string }{
		{"10.0.1.13", ""},
		{"10.0.1.13", codeAddressInUse},
		{"10.0.2.13", codeParameterValue},
		{"fd00::1", codeParameterValue},
		// fact: subnet.reserved.network
		{"10.0.1.0", codeParameterValue},
		// fact: subnet.reserved.router
		{"10.0.1.1", codeParameterValue},
		// fact: subnet.reserved.dns
		{"10.0.1.2", codeParameterValue},
		// fact: subnet.reserved.future
		{"10.0.1.3", codeParameterValue},
		// fact: subnet.reserved.future
		{"10.0.1.4", ""},
		{"10.0.1.254", ""},
		// fact: subnet.reserved.last
		{"10.0.1.255", codeParameterValue},
	} {
		wantCode(t, row.addr, a.take(netip.MustParseAddr(row.addr)), row.code)
	}
	if a.available() != 248 {
		t.Errorf("%d addresses are free after three were taken, want 248", a.available())
	}
	a.release(netip.MustParseAddr("10.0.1.1")) // reserved: stays so
	a.release(netip.MustParseAddr("10.0.1.13"))
	wantCode(t, "released", a.take(netip.MustParseAddr("10.0.1.13")), "")
	wantCode(t, "router", a.take(netip.MustParseAddr("10.0.1.1")), codeParameterValue)
}

// The allocator gives what a scan from the subnet's beginning would.
func TestAllocatorAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subnet := netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), rapid.IntRange(22, 28).Draw(t, "bits"))
		a, used := newAllocator(subnet), map[netip.Addr]bool{}
		scan := func() (netip.Addr, bool) {
			for addr := subnet.Addr(); subnet.Contains(addr); addr = addr.Next() {
				if !reserved(subnet, addr) && !used[addr] {
					return addr, true
				}
			}
			return netip.Addr{}, false
		}
		anyAddr := rapid.Custom(func(t *rapid.T) netip.Addr {
			return nthAddress(subnet, uint32(rapid.IntRange(0, int(addressCount(subnet))).Draw(t, "n")))
		})
		t.Repeat(map[string]func(*rapid.T){
			"next": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "times") {
					want, ok := scan()
					got, err := a.next()
					if got != want || ok != (err == nil) || !ok && codeOf(err) != codeNoFreeAddress {
						t.Fatalf("next gave %v, %v; the scan found %v, %v", got, err, want, ok)
					}
					if ok {
						used[got] = true
					}
				}
			},
			"take": func(t *rapid.T) {
				addr := anyAddr.Draw(t, "addr")
				want := subnet.Contains(addr) && !reserved(subnet, addr) && !used[addr]
				if err := a.take(addr); (err == nil) != want {
					t.Fatalf("take %v: %v", addr, err)
				}
				if want {
					used[addr] = true
				}
			},
			"release": func(t *rapid.T) {
				addr := anyAddr.Draw(t, "addr")
				a.release(addr)
				delete(used, addr)
			},
			"": func(t *rapid.T) {
				if want := int(addressCount(subnet)) - 5 - len(used); a.available() != want {
					t.Fatalf("%d available, want %d", a.available(), want)
				}
			},
		})
	})
}

func BenchmarkAllocate10000(b *testing.B) {
	b.ReportAllocs()
	subnet := netip.MustParsePrefix("10.0.0.0/16")
	for b.Loop() {
		a := newAllocator(subnet)
		for range 10000 {
			if _, err := a.next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

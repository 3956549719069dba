package dnsfake

import (
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

// The number decides name and address.
func TestAWSServerName(t *testing.T) {
	for _, test := range []struct {
		n            int
		name, domain string
	}{
		{0, "ns-0.awsdns-00.com.", "awsdns-00.com."},
		{511, "ns-511.awsdns-63.com.", "awsdns-63.com."},
		{1234, "ns-1234.awsdns-26.org.", "awsdns-26.org."},
		{2047, "ns-2047.awsdns-63.co.uk.", "awsdns-63.co.uk."},
	} {
		if name, domain := awsServerName(test.n); name != test.name || domain != test.domain {
			t.Errorf("server %d is %s in %s, want %s in %s", test.n, name, domain, test.name, test.domain)
		}
	}
}

func TestDelegationSetsDiffer(t *testing.T) { instant(t, testDelegationSetsDiffer) }

// Zones of one name, or above and below each other, have no server in common, however
// many there are; the choice is the same in every world of one seed.
func testDelegationSetsDiffer(t *testing.T, w *netfake.World, sys *System) {
	seen := map[string]string{}
	for _, name := range []string{"example.com", "example.com", "a.example.com", "b.a.example.com", "example.com", "com"} {
		for _, s := range sys.HostedZone(name).NameServers() {
			if other := seen[s.Name]; other != "" {
				t.Errorf("%s serves %s and %s", s.Name, other, name)
			}
			seen[s.Name] = name
		}
	}
}

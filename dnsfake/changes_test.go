package dnsfake

import (
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// What Route 53 refuses, with its words.
func TestChangeMessages(t *testing.T) {
	lb := &target{name: "web-1.ap-southeast-2.elb.amazonaws.com"}
	instant(t, func(t *testing.T, w *netfake.World, sys *System) {
		z := sys.HostedZone("example.com")
		other := sys.HostedZone("example.org")
		check := sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort("192.0.2.1:80")})
		z.A("www.example.com", time.Minute, addr("192.0.2.1"))
		z.CNAME("alias.example.com", time.Minute, "www.example.com")
		primary := Record{Name: "app.example.com", TTL: time.Minute, Values: []string{"192.0.2.1"}, Failover: Primary, SetIdentifier: "one", HealthCheck: check}
		z.Record(primary)
		value := []string{"192.0.2.9"}
		for _, test := range []struct {
			r    Record
			want string
		}{
			{Record{Name: "www.example.com.", Values: value}, `InvalidChangeBatch: [Tried to create resource record set [name='www.example.com.', type='A'] but it already exists]`},
			{Record{Name: "*.WWW.example.com", Type: TXT, Values: []string{"a b c"}}, ""},
			{Record{Name: "*.www.example.com", Type: TXT, Values: []string{"a"}}, `Tried to create resource record set [name='\052.www.example.com.', type='TXT'] but it already exists`},
			// The zone's name must be whole labels of the record's.
			{Record{Name: "www.notexample.com", Values: value}, "RRSet with DNS name www.notexample.com. is not permitted in zone example.com."},
			{Record{Name: "www", Values: value}, "RRSet with DNS name www. is not permitted in zone example.com."},
			// CNAME: not at the apex, not beside others, nothing beside it.
			{Record{Name: "example.com", Type: CNAME, Values: []string{"x.org"}}, "RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com."},
			{Record{Name: "www.example.com", Type: CNAME, Values: []string{"x.org"}}, "RRSet of type CNAME with DNS name www.example.com. is not permitted as it conflicts with other records with the same DNS name in zone example.com."},
			{Record{Name: "alias.example.com", Values: value}, "RRSet of type A with DNS name alias.example.com. is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone example.com."},
			{Record{Name: "new.example.com", Type: CNAME, Values: []string{"x.org", "y.org"}}, "may have one"},
			// One policy to a name and type, and one of each half.
			{Record{Name: "app.example.com", Values: value}, "RRSet with DNS name app.example.com., type A cannot be created as other RRSets exist with the same name and type."},
			{Record{Name: "app.example.com", Values: value, Failover: Primary, SetIdentifier: "two"}, "as a failover PRIMARY with that name and type exists"},
			{Record{Name: "app.example.com", Values: value, Failover: Secondary}, "InvalidInput: app.example.com: a failover record needs a SetIdentifier"},
			{Record{Name: "app.example.com", Values: value, Failover: Secondary, SetIdentifier: strings.Repeat("x", 129)}, "needs a SetIdentifier of 1 to 128"},
			{Record{Name: "s.example.com", Values: value, SetIdentifier: "x"}, "a simple record has no SetIdentifier"},
			{Record{Name: "s.example.com", Values: value, HealthCheck: check}, "a simple record has no health check"},
			{Record{Name: "s.example.com", Type: NS, Values: []string{"ns.x.org"}, Failover: Primary, SetIdentifier: "x"}, "NS records take simple routing only"},
			{Record{Name: "s.example.com", Values: value, Failover: 3, SetIdentifier: "x"}, "PRIMARY or SECONDARY"},
			// Aliases.
			{Record{Name: "s.example.com", Alias: &Alias{}}, "needs a target"},
			{Record{Name: "s.example.com", Alias: &Alias{Target: lb}, Values: value}, "found more than one"},
			{Record{Name: "s.example.com", Alias: &Alias{Target: lb}, Failover: Primary, SetIdentifier: "x"}, "EvaluateTargetHealth must be true"},
			{Record{Name: "s.example.com", Type: TXT, Alias: &Alias{Target: lb}}, "is of type A or AAAA"},
			{Record{Name: "s.example.com", Type: NS, Alias: &Alias{Target: z.Target("www.example.com")}}, "cannot be of type NS"},
			{Record{Name: "s.example.com", Alias: &Alias{Target: z.Target("gone.example.com")}}, "Tried to create an alias that targets gone.example.com., type A in zone example.com., but that target was not found"},
			{Record{Name: "s.example.com", Alias: &Alias{Target: other.Target("www.example.org")}}, "but the alias target name does not lie within the target zone"},
			{Record{Name: "example.com", Alias: &Alias{Target: lb}}, ""},
			// Values.
			{Record{Name: "v.example.com"}, "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none"},
			{Record{Name: "v.example.com", Values: []string{"1.2.3"}}, "FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '1.2.3'"},
			{Record{Name: "v.example.com", Type: AAAA, Values: []string{"192.0.2.1"}}, "AAAARRDATAIllegalIPv6Address"},
			{Record{Name: "v.example.com", Type: MX, Values: []string{"mail.example.com"}}, "is no value of type MX"},
			{Record{Name: "v.example.com", Type: TXT, Values: []string{"\"x\"\nwww A 1.1.1.1"}}, "spans lines"},
			{Record{Name: "v.example.com", Values: []string{"192.0.2.1", "192.0.2.1"}}, "Duplicate Resource Record: '192.0.2.1'"},
			{Record{Name: "v.example.com", Values: make([]string, 401)}, "the limit is 400"},
			{Record{Name: "v.example.com", TTL: -1, Values: value}, "is not between 0 and 2147483647 whole seconds"},
			{Record{Name: "v.example.com", TTL: time.Millisecond, Values: value}, "whole seconds"},
			{Record{Name: "v.example.com", Type: SOA, Values: value}, "records of type SOA cannot be made"},
			{Record{Name: "*.example.com", Type: NS, Values: []string{"ns.x.org"}}, "a wildcard cannot be delegated"},
			// Names.
			{Record{Name: "", Values: value}, "FATAL problem: DomainNameEmpty (Domain name is empty) encountered with ''"},
			{Record{Name: strings.Repeat("a", 64) + ".example.com", Values: value}, "InvalidDomainName"},
			{Record{Name: "a..example.com", Values: value}, "InvalidDomainName"},
		} {
			err := z.create(test.r)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("%+v: %v", test.r, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s %v: %v\nwant %s", test.r.Name, test.r.Type, err, test.want)
			}
		}
	})
}

func TestRemoveMessages(t *testing.T) {
	for _, test := range []struct {
		name string
		typ  Type
		want string
	}{
		{"www.example.com", A, "Tried to delete resource record set [name='www.example.com.', type='A'] but it was not found"},
		{"example.com", SOA, "A HostedZone must contain exactly one SOA record."},
		{"example.com", NS, "A HostedZone must contain at least one NS record for the zone itself."},
	} {
		wantFatal(t, test.want, func(sys *System) { sys.HostedZone("example.com").Remove(test.name, test.typ) })
	}
}

// A refused change leaves the zone as it was, and a replaced set is the only one.
func TestReplace(t *testing.T) {
	instant(t, func(t *testing.T, w *netfake.World, sys *System) {
		z := sys.HostedZone("example.com")
		z.A("www.example.com", time.Minute, addr("192.0.2.1"))
		if err := z.upsert(Record{Name: "www.example.com", Type: CNAME, Values: []string{"x.org"}}); err == nil {
			t.Error("a CNAME may replace an A record")
		}
		z.Replace(Record{Name: "www.example.com", TTL: time.Minute, Values: []string{"192.0.2.2"}})
		got := show(z.data.Load().lookup("www.example.com.", uint16(A)))
		if !strings.HasPrefix(got, "found: www A 192.0.2.2 /") {
			t.Error(got)
		}
		z.Remove("www.example.com", A)
		if got := z.data.Load().lookup("www.example.com.", uint16(A)).finding; got != noName {
			t.Errorf("after Remove the name is still there: %v", got)
		}
		z.CNAME("www.example.com", time.Minute, "x.org")
	})
}

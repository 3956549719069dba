package dnsfake

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// FailureThreshold probes in a row turn an opinion, in both directions.
func TestOpinion(t *testing.T) {
	for _, test := range []struct {
		threshold     int
		probes, wants string // + passed or healthy, - failed or unhealthy
	}{
		{3, "++---+++-", "++++---+" + "+"},
		{3, "--+--+---", "++++++++-"},
		{1, "-+-+", "-+-+"},
		{2, "--+-++-+--", "+----++++-"},
	} {
		var o opinion
		var got strings.Builder
		for _, p := range test.probes {
			o.take(p == '+', test.threshold)
			got.WriteByte("+-"[map[bool]int{true: 1}[o.unhealthy]])
		}
		if got.String() != test.wants {
			t.Errorf("threshold %d, probes %s: %s, want %s", test.threshold, test.probes, got.String(), test.wants)
		}
	}
}

// After any probes the opinion is what the last run of FailureThreshold equal ones said.
func TestOpinionAgreesWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(1, 10).Draw(t, "threshold")
		probes := rapid.SliceOfN(rapid.Bool(), 0, 40).Draw(t, "probes")
		var o opinion
		for _, p := range probes {
			o.take(p, threshold)
		}
		healthy := true
		for i := range probes {
			same := i+1 >= threshold
			for j := 0; same && j < threshold; j++ {
				same = probes[i-j] == probes[i]
			}
			if same {
				healthy = probes[i]
			}
		}
		if o.unhealthy == healthy {
			t.Fatalf("healthy is %v, want %v", !o.unhealthy, healthy)
		}
	})
}

// More than 18% of the checkers must see the endpoint healthy.
func TestMajority(t *testing.T) {
	for _, test := range []struct {
		healthy, of int
		want        bool
	}{{8, 8, true}, {2, 8, true}, {1, 8, false}, {0, 8, false}, {18, 100, false}, {19, 100, true}} {
		checkers := make([]opinion, test.of)
		for i := test.healthy; i < test.of; i++ {
			checkers[i].unhealthy = true
		}
		if got := majority(checkers); got != test.want {
			t.Errorf("%d of %d: %v, want %v", test.healthy, test.of, got, test.want)
		}
	}
}

func TestHealthCheckConfig(t *testing.T) {
	public := netipPort("192.0.2.1:80")
	for _, test := range []struct {
		cfg  HealthCheckConfig
		want string
	}{
		{HealthCheckConfig{Endpoint: public}, ""},
		{HealthCheckConfig{}, "is no IPv4 address and port"},
		{HealthCheckConfig{Endpoint: netipPort("100.64.0.1:80")}, "is private"},
		{HealthCheckConfig{Endpoint: netipPort("127.0.0.1:80")}, "is private"},
		{HealthCheckConfig{Endpoint: netipPort("192.0.2.1:0"), Type: TCP}, "needs a port"},
		{HealthCheckConfig{Endpoint: public, Type: 9}, "HTTP, HTTPS or TCP"},
		{HealthCheckConfig{Endpoint: public, Interval: 20 * time.Second}, "RequestInterval is 10s or 30s, not 20s"},
		{HealthCheckConfig{Endpoint: public, FailureThreshold: 11}, "FailureThreshold is from 1 to 10, not 11"},
		{HealthCheckConfig{Endpoint: public, Path: strings.Repeat("x", 256)}, "may have 255"},
		{HealthCheckConfig{Endpoint: public, Path: "/a b\x01"}, "ResourcePath"},
	} {
		_, err := test.cfg.complete()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.cfg, err, test.want)
		}
	}
	// The Host header has the port unless it is the usual one.
	for _, test := range []struct {
		cfg  HealthCheckConfig
		want string
	}{
		{HealthCheckConfig{Endpoint: public, FQDN: "example.com"}, "example.com"},
		{HealthCheckConfig{Endpoint: public, FQDN: "example.com", Type: HTTPS}, "example.com:80"},
		{HealthCheckConfig{Endpoint: netipPort("192.0.2.1:443"), FQDN: "example.com", Type: HTTPS}, "example.com"},
		{HealthCheckConfig{Endpoint: netipPort("192.0.2.1:8080")}, "192.0.2.1:8080"},
	} {
		if got := test.cfg.host(); got != test.want {
			t.Errorf("%+v: Host %s, want %s", test.cfg, got, test.want)
		}
	}
}

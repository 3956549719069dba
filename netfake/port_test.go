package netfake

import (
	"net"
	"testing"
)

// A port is what net finds too, without a file of services: the numbers, what net knows by
// itself, and errors.
func TestLookupPort(t *testing.T) {
	h := New(t, Config{}).NewHost("h", Place{})
	theirs := net.Resolver{PreferGo: true}
	for _, network := range []string{"tcp", "tcp4", "udp6", "ip", "", "sctp"} {
		for _, service := range []string{"80", "http", "HTTPS", "domain", "no-such-service", "", "-0", "+7", "-1", "65535", "65536", "x80"} {
			got, gotErr := h.LookupPort(t.Context(), network, service)
			want, wantErr := theirs.LookupPort(t.Context(), network, service)
			if network == "udp6" && service == "http" || network == "tcp4" && wantErr != nil {
				continue // machines with cgo or a file of services differ
			}
			if got != want || explainNil(gotErr) != explainNil(wantErr) {
				t.Errorf("%q of %q: %d, %v; net finds %d, %v", service, network, got, gotErr, want, wantErr)
			}
		}
	}
	// What net needs a file for.
	for service, want := range map[string]int{"postgresql": 5432, "redis": 6379, "syslog": 514} {
		if got, err := h.LookupPort(t.Context(), "ip", service); got != want || err != nil {
			t.Errorf("%s: %d, %v", service, got, err)
		}
	}
}

func explainNil(err error) string {
	if err == nil {
		return ""
	}
	return explain(err)
}

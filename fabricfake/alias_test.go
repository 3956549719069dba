package fabricfake

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Whoever asks the services beside him, drops, sockets and the report have his own address,
// also where two VPCs of two regions have the same.
func TestAliasesAreNotShown(t *testing.T) {
	netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
		want := map[string]int{} // drops
		for _, region := range []string{"eu-west-1", "eu-west-2"} {
			s := NewRegion(w, region, netfake.Sydney).VPC("prod", "10.0.0.0/16").AddIPv6("").Subnet("app", "10.0.1.0/24", "a").AddIPv6("")
			i := s.Instance("app of "+region, InstanceConfig{PrivateIP: "10.0.1.5", IPv6AddressCount: 1})
			want["10.0.1.5:99 → 169.254.169.254:53 udp"]++
			want["["+i.Interface().IPv6().String()+"]:99 → [fd00:ec2::123]:53 udp"]++
			u, err := i.ListenPacket("udp", ":99")
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"169.254.169.254", "fd00:ec2::123"} { // where nobody listens
				u.WriteTo([]byte("x"), &net.UDPAddr{IP: net.ParseIP(to), Port: 53})
			}
			if _, err := i.Dial("tcp", "169.254.169.254:80"); err != nil {
				t.Fatal(err)
			}
			i.ForceTerminate()
			w.Sleep(20 * time.Second) // the services' keep-alives go to nobody
		}
		flows := map[string]int{}
		for _, d := range w.Drops() {
			flows[d.Flow.String()]++
		}
		for flow, n := range want {
			if flows[flow] != n {
				t.Errorf("%d drops of %s, want %d: %v", flows[flow], flow, n, flows)
			}
		}
		for what, text := range map[string]string{"sockets": w.Sockets(), "report": w.Report()} {
			if !strings.Contains(text, "10.0.1.5:") || strings.Contains(text, "240.0.0.") || strings.Contains(text, "fd00:ec2:240:") {
				t.Errorf("%s:\n%s", what, text)
			}
		}
	})
}

// A request whose instance has gone before it is answered has an answer that nobody reads.
func TestRequestOfNobody(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := NewVPC(w, "prod", "10.0.0.0/16").Subnet("app", "10.0.1.0/24", "a")
		i := s.Instance("app", InstanceConfig{})
		if _, err := i.Dial("tcp", "169.254.169.254:80"); err != nil {
			t.Fatal(err)
		}
		local := s.vpc.region.local
		status := func(from string) int {
			answer := httptest.NewRecorder()
			local.ServeHTTP(answer, &http.Request{Method: http.MethodGet, RemoteAddr: from, URL: &url.URL{Path: "/latest/meta-data/"}})
			return answer.Code
		}
		alias := net.JoinHostPort(nthAddress(aliasBlock, 1).String(), "1")
		if got := status(alias); got != http.StatusUnauthorized { // as it has no token
			t.Errorf("while it is there: %d", got)
		}
		i.ForceTerminate()
		if got := status(alias); got != http.StatusForbidden {
			t.Errorf("when it has gone: %d", got)
		}
		if got := status("240.0.0.9:1"); got != http.StatusForbidden {
			t.Errorf("nobody: %d", got)
		}
	})
}

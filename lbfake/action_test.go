package lbfake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestRedirectLocation(t *testing.T) {
	plain := &Listener{balancer: &ApplicationLoadBalancer{dnsName: "web-1.elb.amazonaws.com"}, port: 80, protocol: HTTP}
	for _, row := range []struct {
		rule     string
		redirect Redirect
		want     string
	}{
		// What is not given stays; the port is always written.
		{"to HTTPS", Redirect{Protocol: "HTTPS", Port: "443"}, "https://example.com:443/a/b?x=1"},
		{"to another host", Redirect{Host: "www.#{host}"}, "http://www.example.com:80/a/b?x=1"},
		// #{path} has no leading slash.
		{"to another path", Redirect{Path: "/new/#{path}"}, "http://example.com:80/new/a/b?x=1"},
		{"with another query", Redirect{Path: "/", Query: "from=#{path}&#{query}"}, "http://example.com:80/?from=a/b&x=1"},
	} {
		if err := row.redirect.check(plain); err != nil {
			t.Errorf("%s: %v", row.rule, err)
		}
		r := httptest.NewRequest(http.MethodGet, "http://example.com/a/b?x=1", nil)
		if got := row.redirect.location(r, plain); got != row.want {
			t.Errorf("%s: got %s, want %s", row.rule, got, row.want)
		}
	}
	secure := &Listener{balancer: plain.balancer, port: 443, protocol: HTTPS}
	for _, row := range []struct {
		rule     string
		redirect Redirect
		at       *Listener
	}{
		{"changes nothing", Redirect{}, plain},
		{"changes the query only", Redirect{Query: "x=2"}, plain},
		{"from HTTPS to HTTP", Redirect{Protocol: "HTTP", Port: "80"}, secure},
		{"unknown protocol", Redirect{Protocol: "FTP"}, plain},
		{"bad port", Redirect{Port: "70000"}, plain},
		{"relative path", Redirect{Path: "new"}, plain},
	} {
		if row.redirect.check(row.at) == nil {
			t.Errorf("%s: %+v was taken", row.rule, row.redirect)
		}
	}
}

func TestFixedResponseLimits(t *testing.T) {
	for _, row := range []struct {
		response FixedResponse
		ok       bool
	}{
		{FixedResponse{}, true},
		{FixedResponse{Status: 404, ContentType: "text/html", Body: "<p>no</p>"}, true},
		{FixedResponse{Status: 302}, false},
		{FixedResponse{ContentType: "image/png"}, false},
		{FixedResponse{Body: string(make([]byte, 1025))}, false},
	} {
		if err := row.response.check(nil); (err == nil) != row.ok {
			t.Errorf("%+v: %v", row.response, err)
		}
	}
}

// Rules in use: each action, in the order of priorities, and what the access log says.
func TestRules(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		api := s.group(TargetGroupConfig{}).Register(s.server("api", "a"))
		site := NewTargetGroup(s.vpc, "site", TargetGroupConfig{}).Register(s.server("site", "b"))
		b := NewApplication(s.vpc, "web", ApplicationConfig{Subnets: s.subnets, Groups: s.open})
		l := b.Listener(80, HTTP, ListenerConfig{Default: Forward(site)})
		l.Rule(10, FixedResponse{Status: 404, Body: "gone"}, PathPattern("/api/old/*"))
		toAPI := l.Rule(20, Forward(api), PathPattern("/api/*"))
		l.Rule(30, Redirect{Protocol: "HTTPS", Port: "443", Status: MovedPermanently}, HostHeader("*.example.com"), RequestMethod("GET"))
		sleepUntil(t, s.w, 31*time.Second)
		c := s.client.HTTPClient()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		host := "http://" + b.nodes[0].addr.String() + ":80"

		wantGet(t, c, url(b, "/"), 200, "site")
		wantLast(t, b, "GET "+host+"/ → site 10.0.1.4:80: 200 (200), default rule")
		wantGet(t, c, url(b, "/api/new/"), 200, "api")
		last := wantLast(t, b, "GET "+host+"/api/new/ → api 10.0.0.4:80: 200 (200), rule 20 path-pattern is /api/*")
		if last.Priority != 20 || last.Action != "forward" || last.Group != "app" || last.Type != "http" || last.Node != "a" {
			t.Errorf("the access log has %+v", last)
		}
		wantGet(t, c, url(b, "/api/old/"), 404, "gone")
		wantLast(t, b, "GET "+host+"/api/old/: 404, rule 10 path-pattern is /api/old/*")

		resp := ask(t, s, b, "GET /x?y=1 HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 301 || resp.Header.Get("Location") != "https://www.example.com:443/x?y=1" || len(body) != 134 {
			t.Errorf("got %d to %s with %d bytes", resp.StatusCode, resp.Header.Get("Location"), len(body))
		}
		// All of a rule's conditions must match.
		resp = ask(t, s, b, "POST /x HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 0\r\n\r\n")
		if resp.StatusCode != 200 {
			t.Errorf("a POST got %d, want the default rule's 200", resp.StatusCode)
		}

		// What is changed takes effect at once.
		toAPI.Delete()
		wantGet(t, c, url(b, "/api/new/"), 200, "site")
		if h := api.Health()[0]; h.Reason != NotInUse {
			t.Errorf("a group without a rule is %v", h)
		}
		l.SetDefault(FixedResponse{Status: 503})
		wantGet(t, c, url(b, "/"), 503, "")
	})
}

package lbfake

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// ask sends the bytes of a request to a node and returns its response.
func ask(t *testing.T, s *site, b *ApplicationLoadBalancer, request string) *http.Response {
	t.Helper()
	c, err := s.client.Dial("tcp", b.nodes[0].addr.String()+":80")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// echoTarget puts a healthy target behind a new balancer that answers with the request
// that it got.
func echoTarget(t *testing.T, s *site, attributes Attributes) *ApplicationLoadBalancer {
	t.Helper()
	i := s.instance("app", "a")
	i.ServeHTTP(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "app/1")
		got, _ := httputil.DumpRequest(r, true)
		w.Write(got)
	}))
	g := s.group(TargetGroupConfig{}).Register(i)
	b := s.balancer(g, attributes)
	if err := g.WaitInService(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestHeaders(t *testing.T) {
	for _, row := range []struct {
		name       string
		attributes Attributes
		request    string
		want       []string // lines of the request that the target got
		without    []string
	}{
		{
			"defaults", Attributes{}, "GET /a%2Fb?x=1;y HTTP/1.1\r\nHost: WWW.Example.com:80\r\nUser-Agent: test\r\nForwarded: for=1.2.3.4\r\n\r\n",
			[]string{"GET /a%2Fb?x=1;y HTTP/1.1", "Host: www.example.com", "User-Agent: test", "X-Forwarded-For: 198.51.100.20",
				"X-Forwarded-Port: 80", "X-Forwarded-Proto: http", "Forwarded: for=1.2.3.4"},
			[]string{"Accept-Encoding"},
		},
		{
			"a client that was forwarded", Attributes{}, "GET / HTTP/1.1\r\nHost: a.com\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n",
			[]string{"X-Forwarded-For: 203.0.113.7, 198.51.100.20", "X-Forwarded-Proto: http"}, []string{"User-Agent"},
		},
		{
			"preserve", Attributes{XFF: XFFPreserve, PreserveHost: true}, "GET / HTTP/1.1\r\nHost: A.com:80\r\n\r\n",
			[]string{"Host: A.com:80", "X-Forwarded-Port: 80"}, []string{"X-Forwarded-For"},
		},
		{
			"remove", Attributes{XFF: XFFRemove}, "GET / HTTP/1.1\r\nHost: a.com\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n",
			[]string{"Host: a.com"}, []string{"X-Forwarded-For"},
		},
		{
			"a body", Attributes{}, "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 2\r\n\r\nhi",
			[]string{"POST / HTTP/1.1", "Content-Length: 2", "hi"}, []string{"Transfer-Encoding"},
		},
		{
			"a body of none", Attributes{}, "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 0\r\n\r\n",
			[]string{"Content-Length: 0"}, []string{"Transfer-Encoding"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			instant(t, func(t *testing.T, s *site) {
				b := echoTarget(t, s, row.attributes)
				resp := ask(t, s, b, row.request)
				body, _ := io.ReadAll(resp.Body)
				lines := strings.Split(string(body), "\r\n")
				for _, want := range row.want {
					if !contains(lines, want) {
						t.Errorf("the target got no line %q:\n%s", want, body)
					}
				}
				for _, name := range row.without {
					if strings.Contains(string(body), name+":") {
						t.Errorf("the target got %s:\n%s", name, body)
					}
				}
				if got := resp.Header.Get("Server"); got != "app/1" {
					t.Errorf("the target's Server header became %q", got)
				}
				trace := regexp.MustCompile(`X-Amzn-Trace-Id: (Root=1-[0-9a-f]{8}-[0-9a-f]{24})\r\n`).FindStringSubmatch(string(body))
				if len(trace) < 2 || trace[1] != b.AccessLog()[0].TraceID {
					t.Errorf("the trace header is %q, the access log has %q", trace, b.AccessLog()[0].TraceID)
				}
				if resp.Header.Get(headerTrace) != "" {
					t.Error("the response has a trace header")
				}
			})
		})
	}
}

func contains(lines []string, want string) bool {
	for _, line := range lines {
		if line == want {
			return true
		}
	}
	return false
}

// What the load balancer answers by itself.
func TestGenerated(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		b := echoTarget(t, s, Attributes{})
		many := "X-Forwarded-For: 1.1.1.1" + strings.Repeat(", 1.1.1.1", MaxForwardedFor)
		for _, row := range []struct {
			request string
			status  int
		}{
			{"TRACE / HTTP/1.1\r\nHost: a.com\r\n\r\n", 405},
			{"GET / HTTP/1.1\r\nHost: a.com\r\n" + many + "\r\n\r\n", 463},
			{"GET / HTTP/1.1\r\nHost: a.com\r\n" + strings.TrimSuffix(many, ", 1.1.1.1") + "\r\n\r\n", 200},
		} {
			resp := ask(t, s, b, row.request)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != row.status {
				t.Errorf("%q: got %d, want %d", row.request, resp.StatusCode, row.status)
			}
			if row.status == 200 {
				continue
			}
			if resp.Header.Get("Server") != "awselb/2.0" || resp.Header.Get("Content-Type") != "text/html" || string(body) != page(row.status) {
				t.Errorf("%d came with %v and %q", row.status, resp.Header, body)
			}
		}
	})
}

// A client that goes away is in the access log alone.
func TestClientGone(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		i := s.instance("app", "a")
		raw(t, i, func(*netfake.TCPConn) {})
		b := s.balancer(s.group(TargetGroupConfig{}).Register(i), Attributes{})
		sleepUntil(t, s.w, 31*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url(b, "/"), nil)
		if _, err := s.client.HTTPClient().Do(r); err == nil {
			t.Fatal("somebody answered")
		}
		time.Sleep(time.Second)
		last := wantLast(t, b, "GET http://"+b.nodes[0].addr.String()+":80/ → app 10.0.0.4:80: 460, default rule, app 10.0.0.4:80: the client closed before the target answered")
		if last.Time != 35*time.Second {
			t.Errorf("the exchange ended at %v, want 35s", last.Time)
		}
	})
}

// A client that stops in the middle of its upload.
func TestStalledUpload(t *testing.T) {
	for _, row := range []struct {
		name   string
		target func(c *netfake.TCPConn)
		status int
		after  time.Duration
	}{
		{"the target waits too", func(*netfake.TCPConn) {}, 408, 60 * time.Second},
		{"the target has seen enough", func(c *netfake.TCPConn) {
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nbig\n")
		}, 413, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			instant(t, func(t *testing.T, s *site) {
				i := s.instance("app", "a")
				raw(t, i, row.target)
				b := s.balancer(s.group(TargetGroupConfig{}).Register(i), Attributes{})
				sleepUntil(t, s.w, 31*time.Second)
				resp := ask(t, s, b, "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 100\r\n\r\nhalf")
				if resp.StatusCode != row.status {
					t.Errorf("got %d, want %d", resp.StatusCode, row.status)
				}
				wantAt(t, s.w, 31*time.Second+row.after)
				// The node does not wait for the rest, and time goes on.
				time.Sleep(time.Second)
				if last := b.AccessLog()[0]; last.Status != row.status || last.Time > 32*time.Second+row.after {
					t.Errorf("the access log has %v at %v", last, last.Time)
				}
				wantAt(t, s.w, 32*time.Second+row.after)
			})
		})
	}
}

// A connection's last request is the first after its time; then the client has to
// connect anew.
func TestClientKeepAlive(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		b := echoTarget(t, s, Attributes{ClientKeepAlive: 60 * time.Second})
		c := s.client.HTTPClient()
		var closes []bool
		for range 4 {
			resp, err := c.Get(url(b, "/"))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			closes = append(closes, resp.Close)
			time.Sleep(30 * time.Second)
		}
		if got, want := fmt.Sprint(closes), "[false false true false]"; got != want {
			t.Errorf("requests at 0, 30, 60 and 90 s closed the connection: %s, want %s", got, want)
		}
	})
}

// A client that asks before it sends its body is told to go on by the node, and the
// target hears nothing of it.
func TestExpectContinue(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		b := echoTarget(t, s, Attributes{})
		c, err := s.client.Dial("tcp", b.nodes[0].addr.String()+":80")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.com\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
		r := bufio.NewReader(c)
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 100 {
			t.Fatalf("got %v, %v, want 100", resp, err)
		}
		io.WriteString(c, "hi")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || !strings.HasSuffix(string(body), "hi") || strings.Contains(string(body), "Expect") {
			t.Errorf("got %d, and the target got\n%s", resp.StatusCode, body)
		}
	})
}

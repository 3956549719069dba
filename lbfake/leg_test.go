package lbfake

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// raw serves connections by hand: f gets each once a request's header has been read.
func raw(t *testing.T, i *fabricfake.Instance, f func(c *netfake.TCPConn)) {
	t.Helper()
	l, err := i.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				r := bufio.NewReader(c)
				if req, err := http.ReadRequest(r); err != nil || req.UserAgent() == checkerAgent {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					c.Close()
					return
				}
				f(c.(*netfake.TCPConn))
			}()
		}
	}()
}

// What a client gets for what a healthy target does to its request, and when.
func TestGatewayErrors(t *testing.T) {
	for _, row := range []struct {
		name   string
		target func(c *netfake.TCPConn)
		status int
		after  time.Duration
		reason string
	}{
		{"answers", func(c *netfake.TCPConn) { io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n") }, 204, 0, ""},
		{"answers late", func(c *netfake.TCPConn) {
			time.Sleep(59 * time.Second)
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}, 204, 59 * time.Second, ""},
		{"does not answer", func(*netfake.TCPConn) {}, 504, 60 * time.Second, "no response before the idle timeout"},
		{"closes", func(c *netfake.TCPConn) { c.Close() }, 502, 0, "the connection was closed before a response came"},
		{"closes late", func(c *netfake.TCPConn) { time.Sleep(7 * time.Second); c.Close() }, 502, 7 * time.Second, "the connection was closed before a response came"},
		{"resets", func(c *netfake.TCPConn) { c.SetLinger(0); c.Close() }, 502, 0, "the connection was reset before a response came"},
		{"talks nonsense", func(c *netfake.TCPConn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n"); c.Close() }, 502, 0, `the response is malformed: net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.6"`},
		{"has a header of 40 KB", func(c *netfake.TCPConn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX: %s\r\n\r\n", strings.Repeat("x", 40<<10))
		}, 502, 0, "the response is malformed: net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 32768 bytes; aborted"},
	} {
		t.Run(row.name, func(t *testing.T) {
			instant(t, func(t *testing.T, s *site) {
				i := s.instance("app", "a")
				raw(t, i, row.target)
				g := s.group(TargetGroupConfig{}).Register(i)
				b := s.balancer(g, Attributes{})
				sleepUntil(t, s.w, 31*time.Second)
				wantHealth(t, g, "app 10.0.0.4:80 healthy")
				body := ""
				if row.status >= 500 {
					body = page(row.status)
				}
				wantGet(t, s.client.HTTPClient(), url(b, "/"), row.status, body)
				wantAt(t, s.w, 31*time.Second+row.after)
				last := b.AccessLog()[0]
				if want := "app 10.0.0.4:80: " + row.reason; row.reason != "" && last.Reason != want {
					t.Errorf("the reason is %q, want %q", last.Reason, want)
				}
				if last.TargetStatus != 0 && row.reason != "" || last.Status != row.status {
					t.Errorf("the access log has %v", last)
				}
			})
		})
	}
}

// What a client gets when a target that is still taken for healthy is gone, and when.
func TestConnectErrors(t *testing.T) {
	for _, row := range []struct {
		name   string
		gone   func(i *fabricfake.Instance, server *http.Server)
		status int
		after  time.Duration
	}{
		{"nobody listens", func(_ *fabricfake.Instance, server *http.Server) { server.Close() }, 502, 0},
		{"the instance is dead", func(i *fabricfake.Instance, _ *http.Server) { i.Crash() }, 504, 10 * time.Second},
		{"a group drops it", func(i *fabricfake.Instance, _ *http.Server) {
			i.Interface().SetGroups(fabricfake.Groups{i.Interface().VPC().SecurityGroup("shut")})
		}, 504, 10 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			instant(t, func(t *testing.T, s *site) {
				i := s.instance("app", "a")
				server := i.ServeHTTP(":80", nameHandler("app"))
				g := s.group(TargetGroupConfig{}).Register(i)
				b := s.balancer(g, Attributes{})
				sleepUntil(t, s.w, 31*time.Second)
				row.gone(i, server)
				wantHealth(t, g, "app 10.0.0.4:80 healthy")
				wantGet(t, s.client.HTTPClient(), url(b, "/"), row.status, page(row.status))
				wantAt(t, s.w, 31*time.Second+row.after)
			})
		})
	}
}

// With one target dead and still taken for healthy, half of the requests fail; from
// its second failed check on, none.
func TestDeadTargetOfTwo(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		dead := s.server("dead", "a")
		g := s.group(TargetGroupConfig{}).Register(dead).Register(s.server("alive", "b"))
		b := s.balancer(g, Attributes{IdleTimeout: 5 * time.Second})
		c := s.client.HTTPClient()
		sleepUntil(t, s.w, 31*time.Second)
		dead.Crash()
		count := map[int]int{}
		for range 6 {
			status, _ := get(t, c, url(b, "/"))
			count[status]++
		}
		if count[200] != 3 || count[504] != 3 {
			t.Errorf("six requests before the target was unhealthy gave %v", count)
		}
		wantAt(t, s.w, 61*time.Second) // three times 10 s
		sleepUntil(t, s.w, 95*time.Second+1)
		for range 6 {
			wantGet(t, c, url(b, "/"), 200, "alive")
		}
		wantAt(t, s.w, 95*time.Second+1)
	})
}

// A target whose keep-alive is shorter than the load balancer's idle timeout closes a
// connection just when a request is on its way, and the client gets a 502.
func TestKeepAliveRace(t *testing.T) {
	for _, row := range []struct {
		name      string
		keepAlive time.Duration
		status    int
	}{
		{"shorter", 3 * time.Second, 502},
		{"longer", 90 * time.Second, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				s := newSite(w)
				i := s.instance("app", "a")
				l, err := i.Listen("tcp", ":80")
				if err != nil {
					t.Fatal(err)
				}
				idle := make(chan time.Duration, 10)
				w.Serve(&http.Server{
					Handler: nameHandler("app"), IdleTimeout: row.keepAlive,
					ConnState: func(_ net.Conn, state http.ConnState) {
						if state == http.StateIdle {
							idle <- w.Now()
						}
					},
				}, l)
				g := s.group(TargetGroupConfig{}).Register(i)
				b := s.balancer(g, Attributes{})
				if err := g.WaitInService(t.Context()); err != nil {
					t.Fatal(err)
				}
				c := s.client.HTTPClient()
				wantGet(t, c, url(b, "/"), 200, "app")
				// The node is to send the next request half a way before the FIN arrives.
				clientWay := (w.Now() - <-idle) - fabricfake.LatencyZone
				sleepUntil(t, w, w.Now()-clientWay-fabricfake.LatencyZone+3*time.Second+fabricfake.LatencyZone/2-clientWay)
				status, _ := get(t, c, url(b, "/"))
				if status != row.status {
					t.Errorf("got %d, want %d: %v", status, row.status, b.AccessLog())
				}
			})
		})
	}
}

// A stream comes through as it is sent, for as long as it is never silent for the idle
// timeout, and with nothing in its header that the target did not say.
func TestStream(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		i := s.instance("app", "a")
		raw(t, i, func(c *netfake.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nDate: today\r\n\r\n")
			for range 4 {
				time.Sleep(30 * time.Second)
				io.WriteString(c, "on\n")
			}
		})
		b := s.balancer(s.group(TargetGroupConfig{}).Register(i), Attributes{})
		sleepUntil(t, s.w, 31*time.Second)
		resp := ask(t, s, b, "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 2\r\n\r\nhi")
		wantAt(t, s.w, 31*time.Second)
		if got, want := fmt.Sprint(resp.Header), "map[Content-Length:[12] Date:[today]]"; got != want {
			t.Errorf("the response has %s, want %s", got, want)
		}
		r := bufio.NewReader(resp.Body)
		for k := range 4 {
			line, err := r.ReadString('\n')
			if line != "on\n" || err != nil {
				t.Fatalf("line %d is %q, %v", k, line, err)
			}
			wantAt(t, s.w, time.Duration(61+30*k)*time.Second)
		}
	})
}

// An upgraded connection carries both ways.
func TestUpgrade(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		i := s.instance("app", "a")
		raw(t, i, func(c *netfake.TCPConn) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(c, c)
			c.Close()
		})
		g := s.group(TargetGroupConfig{}).Register(i)
		b := s.balancer(g, Attributes{})
		sleepUntil(t, s.w, 31*time.Second)
		c, err := s.client.Dial("tcp", b.nodes[0].addr.String()+":80")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /chat HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("got %v, %v", resp, err)
		}
		// It goes on for as long as something is said within every idle timeout.
		for range 3 {
			time.Sleep(59 * time.Second)
			io.WriteString(c, "hello\n")
			if line, err := r.ReadString('\n'); line != "hello\n" {
				t.Fatalf("got %q, %v", line, err)
			}
		}
		began := s.w.Now()
		if _, err := r.ReadByte(); err == nil || s.w.Now()-began != 60*time.Second {
			t.Errorf("silence ended after %v with %v, want the idle timeout, 60s", s.w.Now()-began, err)
		}
		last := wantLast(t, b, "GET http://a.com:80/chat → app 10.0.0.4:80: 101 (101), default rule")
		if last.Type != "ws" || last.Time != s.w.Now() || last.Created != 31*time.Second {
			t.Errorf("the access log has %+v", last)
		}
	})
}

// A response that breaks off breaks the client's connection off.
func TestBrokenResponse(t *testing.T) {
	instant(t, func(t *testing.T, s *site) {
		i := s.instance("app", "a")
		raw(t, i, func(c *netfake.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			c.Close()
		})
		b := s.balancer(s.group(TargetGroupConfig{}).Register(i), Attributes{})
		sleepUntil(t, s.w, 31*time.Second)
		resp, err := s.client.HTTPClient().Get(url(b, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.Header["Content-Type"]) > 0 {
			t.Errorf("the response was given a type: %v", resp.Header)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "half" || err == nil {
			t.Errorf("got %q, %v, want half of it and an error", body, err)
		}
		wantLast(t, b, "GET http://"+b.nodes[0].addr.String()+":80/ → app 10.0.0.4:80: 200 (200), default rule, app 10.0.0.4:80: the connection broke before the whole response had come")
	})
}

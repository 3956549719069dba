package fabricfake_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What becomes of a connection when something changes in its middle. A client says
// something each second and waits for the echo; half a second after the tenth time the
// change happens, half a second before the client speaks again. It is what the table in the
// package's documentation says.
func TestOutcomes(t *testing.T) {
	const (
		all = "survives"

		// The segment is sent again after 200.2 ms, 200 and the round trip, and twice as
		// long each time up to 120 s, 15 times (net.ipv4.tcp_retries2): 924.8046 s.
		gaveUp = "ETIMEDOUT after 15m25.3046s"

		// The server asks 15 s after it last heard of the client, nine times more, and
		// says by a RST that it gives up: 150 s after the acknowledgement of the tenth
		// echo. Here it comes through, as only the way there is closed.
		heard = "ECONNRESET after 2m29.5002s"

		// Of the times at which the segment is sent the first beyond the 5 s.
		late = "survives 6.2064s late"
	)
	tracked := func(p *pair) {
		p.group.RevokeIngress("tcp/22", fabricfake.Anywhere).AllowIngress("tcp/22", p.vpc.DefaultSecurityGroup())
	}
	var acl *fabricfake.NetworkACL
	deny := func(p *pair) { acl = p.vpc.DefaultNetworkACL().DenyIngress(50, "tcp/22", "0.0.0.0/0") }
	for _, row := range []struct {
		name    string
		prepare func(p *pair)
		change  func(p *pair)
		later   func(p *pair) // 5 s after the change
		want    string
	}{
		{"nothing", nil, func(*pair) {}, nil, all},
		{"a rule revoked that tracked", tracked, func(p *pair) { p.group.RevokeIngress("tcp/22", p.vpc.DefaultSecurityGroup()) }, nil, all},
		{"a rule revoked that did not", nil, func(p *pair) { p.group.RevokeIngress("tcp/22", fabricfake.Anywhere) }, nil, gaveUp},
		{"a group taken away that tracked", tracked, func(p *pair) { p.two.Interface().SetGroups(fabricfake.Groups{p.vpc.DefaultSecurityGroup()}) }, nil, all},
		{"an ACL that denies", tracked, deny, nil, heard},
		{"and no longer does", tracked, deny, func(*pair) { acl.RemoveIngress(50) }, late},
		{"a route that leads elsewhere", tracked, func(p *pair) { p.a.Route("172.31.32.0/24", p.mid.Interface()) }, nil, heard},
		{"and back", tracked, func(p *pair) { p.a.Route("172.31.32.0/24", p.mid.Interface()) },
			func(p *pair) { p.a.RouteTable().DeleteRoute("172.31.32.0/24") }, late},
		{"the physical host dies", nil, func(p *pair) { p.two.Interface().PhysicalHost().Fail() }, nil, gaveUp},
		{"the zone fails", nil, func(p *pair) { p.vpc.Region().Zone("a").Fail() }, nil, gaveUp},
		{"the instance crashes", nil, func(p *pair) { p.two.Crash() }, nil, gaveUp},
		{"and boots again", nil, func(p *pair) { p.two.Crash() }, func(p *pair) { p.two.Restart() }, "ECONNRESET after 6.7064s"},
		{"the instance is stopped", nil, func(p *pair) { go p.two.Stop() }, nil, "EOF after 500ms"},
		{"the instance is terminated", nil, func(p *pair) { go p.two.Terminate() }, nil, "EOF after 500ms"},
		// fact: instance.skip
		{"the instance is stopped by force", nil, func(p *pair) { p.two.ForceStop() }, nil, gaveUp},
		// fact: instance.skip
		{"the instance is terminated by force", nil, func(p *pair) { p.two.ForceTerminate() }, nil, gaveUp},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				p := newPair(t, w)
				p.mid = p.a.Instance("mid", fabricfake.InstanceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff})
				if row.prepare != nil {
					row.prepare(p)
				}
				later := func() {
					if row.later != nil {
						row.later(p)
					}
				}
				if got := chat(p.one, "172.31.32.21", func() { row.change(p) }, later); got != row.want {
					t.Errorf("%s: %s, want %s", row.name, got, row.want)
				}
			})
		})
	}
}

// chat has a client talk with an address of the server, and tells how that went on: what the
// client's next call returned and when, or by how much the slowest echo was late. Without a
// change it only talks.
func chat(client *fabricfake.Instance, addr string, change, later func()) string {
	w := client.World()
	d := netfake.Dialer{Host: client.Host, KeepAlive: -1}
	c, err := d.Dial("tcp", addr+":22")
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	var changed, longest time.Duration
	b := make([]byte, 5)
	for n := range 30 {
		began := w.Now()
		if _, err = io.WriteString(c, "hello"); err == nil {
			_, err = io.ReadFull(c, b)
		}
		if err != nil {
			break
		}
		longest = max(longest, w.Now()-began)
		if n == 9 && change != nil {
			w.Sleep(500 * time.Millisecond)
			changed = w.Now()
			change()
			if later != nil {
				time.AfterFunc(5*time.Second, later)
			}
			w.Sleep(500 * time.Millisecond)
			continue
		}
		w.Sleep(time.Second)
	}
	switch {
	case err != nil:
		return fmt.Sprintf("%s after %v", errorName(err), w.Now()-changed)
	case longest > time.Millisecond:
		return fmt.Sprintf("survives %v late", longest)
	}
	return "survives"
}

// errorName names what a connection returns.
func errorName(err error) string {
	for _, e := range []struct {
		err  error
		name string
	}{{syscall.ETIMEDOUT, "ETIMEDOUT"}, {syscall.ECONNRESET, "ECONNRESET"}, {syscall.EPIPE, "EPIPE"}, {io.EOF, "EOF"}, {net.ErrClosed, "closed"}} {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	return err.Error()
}

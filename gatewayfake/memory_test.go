package gatewayfake

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// life is a private and a public instance that talk to a site while somebody changes what
// lies between them.
type life struct {
	w     *netfake.World
	site  *netfake.Host
	hosts [2]*fabricfake.Instance
	nat   *NATGateway
	eip   *ElasticIP // of the public one
	conns []net.Conn
	udp   [2]net.PacketConn
	off   map[string]bool
}

func newLife(t netfake.TB, record bool) *life {
	w := netfake.New(t, netfake.Config{Seed: 1})
	l := &life{w: w, site: w.Internet().Host("site", "203.0.113.80"), off: map[string]bool{}}
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public, private := vpc.Subnet("public", "10.0.0.0/24", "a"), vpc.Subnet("private", "10.0.1.0/24", "a")
	public.Route("0.0.0.0/0", NewInternetGateway(vpc, "igw"))
	l.nat, l.eip = NewNATGateway(public, "nat", NewElasticIP(vpc)), NewElasticIP(vpc)
	private.Route("0.0.0.0/0", l.nat)
	l.hosts = [2]*fabricfake.Instance{private.Instance("app", fabricfake.InstanceConfig{}), public.Instance("web", fabricfake.InstanceConfig{})}
	l.eip.Associate(l.hosts[1].Interface())
	listener, err := l.site.Listen("tcp", ":80")
	if err != nil {
		t.Fatalf("%v", err)
	}
	w.Go(func(context.Context) { answer(listener) })
	for i, h := range l.hosts {
		if l.udp[i], err = h.ListenPacket("udp", ":53"); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if record {
		w.Record(nil)
	}
	l.dial(0)
	l.dial(1)
	return l
}

// answer reads what comes on every connection of a listener, and answers a little.
func answer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			b := make([]byte, 10_000)
			for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
				c.Write(b[:n/10])
			}
			c.Close()
		}()
	}
}

func (l *life) dial(from int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := l.hosts[from].DialContext(ctx, "tcp", "203.0.113.80:80")
	if err != nil {
		return
	}
	l.conns = append(l.conns, c)
	go io.Copy(io.Discard, c)
}

// toggle takes something away, or gives it back.
func (l *life) toggle(what string, off, on func()) {
	if l.off[what] = !l.off[what]; l.off[what] {
		off()
	} else {
		on()
	}
}

// do lets something happen, and what comes of it within some milliseconds. The first kinds
// send something, the others change something.
func (l *life) do(kind, which int) {
	site := netip.MustParseAddr("203.0.113.80")
	switch kind {
	case 0, 1, 2, 3:
		if len(l.conns) > 0 {
			l.conns[which%len(l.conns)].Write(make([]byte, 100+which))
		}
	case 4, 5:
		l.udp[which%2].WriteTo([]byte("hi"), net.UDPAddrFromAddrPort(l.site.UDP(53).Addr))
	case 6:
		l.dial(which % 2)
	case 7:
		l.toggle("elastic IP", l.eip.Disassociate, func() { l.eip.Associate(l.hosts[1].Interface()) })
	case 8:
		l.toggle("site", func() { l.site.Uplink().Withdraw(site) }, func() { l.site.Uplink().Announce(site) })
	case 9:
		l.w.Sleep([]time.Duration{8 * time.Second, 349 * time.Second, 351 * time.Second}[which%3])
	case 10:
		if len(l.conns) > 0 {
			l.conns[0].Close()
			l.conns = l.conns[1:]
		}
	case 11:
		if which == 0 {
			l.nat.Delete()
		}
	}
	l.w.Sleep(20 * time.Millisecond)
}

// seen is all that can be seen of a life.
func (l *life) seen() string {
	return fmt.Sprintf("%+v\n%v\n%v\n%+v\n%s", l.nat.Stats(), l.w.Drops(), l.w.Alarms(), l.site.Uplink().Link().Stats(), l.w.Sockets())
}

// Whatever happens, all comes as it does to packets that are recorded, of which gateways and
// the internet remember nothing.
func TestMemoryIsInvisible(t *testing.T) {
	remembered := 0
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, 11), 1, 30).Draw(t, "kinds")
		which := rapid.SliceOfN(rapid.IntRange(0, 11), len(kinds), len(kinds)).Draw(t, "which")
		rapid.SyncTest(t, func(t *rapid.T) {
			var seen [2]string
			for i := range seen {
				l := newLife(t, i == 1)
				for j, kind := range kinds {
					l.do(kind, which[j])
				}
				seen[i] = l.seen()
				if i == 0 {
					l.nat.out.each(func(t *translation) { remembered += int(min(t.sender, 1)) })
				}
				l.w.Close()
			}
			if seen[0] != seen[1] {
				t.Fatalf("with memory\n%s\nwithout\n%s", seen[0], seen[1])
			}
		})
	})
	if remembered == 0 {
		t.Error("nothing was remembered")
	}
}

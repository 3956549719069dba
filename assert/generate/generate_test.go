package generate_test

import (
	"context"
	"io"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/assert/generate"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// Whatever breaks, a connection that the probe says will be answered is made, and one
// that it says will not be is not; and when all is mended, everything works as before.
func TestProbeAndDialAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, probeAndDialAgree) })
}

func probeAndDialAgree(t *rapid.T) {
	w := netfake.New(t, netfake.Config{Seed: generate.Seeds().Draw(t, "seed")})
	sources, endpoints, links := build(t, w)
	talk := generate.Conversations(sources, endpoints).Draw(t, "talk")
	fault := generate.Breaks(links).Draw(t, "fault")

	healthy := talk.From.Probe(talk.To)
	broken := fault.Apply()
	agree(t, talk, talk.From.Probe(talk.To))
	broken.Undo()
	mended := talk.From.Probe(talk.To)
	if mended.Outcome != healthy.Outcome {
		t.Errorf("mended: %v, before the fault: %v", mended.Outcome, healthy.Outcome)
	}
	agree(t, talk, mended)
}

// agree dials what was probed. Loss delays a connection, but two minutes of retries
// outlast it.
func agree(t *rapid.T, talk generate.Conversation, r *netfake.Reach) {
	c, err := talk.From.DialContext(t.Context(), "tcp", talk.To.Addr.String())
	if connected := err == nil; connected != (r.Outcome == netfake.Answered) {
		t.Errorf("%v: the probe says %v, the dial %v\n%v", talk, r.Outcome, err, r)
	}
	if err == nil {
		c.Close()
	}
}

// build is a VPC with two instances and a site on the internet. One way in is open,
// others are not.
func build(t *rapid.T, w *netfake.World) (sources []assert.Source, endpoints []netfake.Endpoint, links []*netfake.Link) {
	site := w.Internet().HostAt(netfake.Singapore, "site", "203.0.113.80")
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public, private := vpc.Subnet("public", "10.0.0.0/24", "a"), vpc.Subnet("private", "10.0.1.0/24", "b")
	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", gatewayfake.NewNATGateway(public, "nat", gatewayfake.NewElasticIP(vpc)))
	web := vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)
	db := vpc.SecurityGroup("db").AllowIngress("tcp/5432", web)
	front := public.Instance("front", fabricfake.InstanceConfig{Groups: fabricfake.Groups{web}})
	back := private.Instance("back", fabricfake.InstanceConfig{Groups: fabricfake.Groups{db}})
	gatewayfake.NewElasticIP(vpc).Associate(front.Interface())

	for _, at := range []netfake.Endpoint{site.TCP(80), front.TCP(80), back.TCP(5432), back.TCP(22)} {
		serve(t, at)
		endpoints = append(endpoints, at)
	}
	endpoints = append(endpoints, front.TCP(81), netfake.Endpoint{Proto: netfake.TCP, Addr: public80(front)})
	region := vpc.Region()
	return []assert.Source{site, front, back}, endpoints, []*netfake.Link{
		region.Link("a", "b"), region.Link("b", "b"), site.Uplink().Link(), igw.Uplink().Link(),
		w.Internet().Between(netfake.Singapore, netfake.Sydney),
	}
}

// serve accepts connections and closes them when the other end does.
func serve(t *rapid.T, at netfake.Endpoint) {
	l, err := at.Host.Listen("tcp", at.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(io.Discard, c); c.Close() }()
		}
	}()
}

// A fault that is drawn does what it says.
func TestFaultBites(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		a, b := w.Internet().Host("a", "203.0.113.1"), w.Internet().Host("b", "203.0.113.2")
		link := a.Uplink().Link()
		for _, row := range []struct {
			fault generate.Break
			rtt   time.Duration // 0: no reply
		}{
			{generate.Break{Link: link, Kind: generate.Nothing}, 4 * netfake.LastMile},
			{generate.Break{Link: link, Kind: generate.Delay, Delay: time.Second}, 4*netfake.LastMile + 2*time.Second},
			{generate.Break{Link: link, Kind: generate.Loss, Share: 1}, 0},
			{generate.Break{Link: link, Kind: generate.Partition}, 0},
		} {
			broken := row.fault.Apply()
			ctx, cancel := withTimeout(t, 5*time.Second)
			rtt, err := a.Ping(ctx, b.Addr())
			cancel()
			broken.Undo()
			if rtt != row.rtt || (err == nil) != (row.rtt != 0) {
				t.Errorf("%v: ping took %v, %v; want %v", row.fault, rtt, err, row.rtt)
			}
		}
		assert.Bit(t, link)
		if s := link.Stats(); s.Lost != 1 || s.Partitioned != 1 {
			t.Errorf("the link counts %+v", s)
		}
	})
}

func public80(i *fabricfake.Instance) netip.AddrPort {
	return netip.AddrPortFrom(i.Interface().PublicIP(), 80)
}

func withTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

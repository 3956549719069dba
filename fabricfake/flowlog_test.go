package fabricfake_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// pair is two instances in two subnets; the second serves TCP and UDP port 22.
type pair struct {
	w        *netfake.World
	vpc      *fabricfake.VPC
	a, b     *fabricfake.Subnet
	one, two *fabricfake.Instance
	mid      *fabricfake.Instance // nil where a test needs none
	group    *fabricfake.SecurityGroup
}

func newPair(t *testing.T, w *netfake.World) *pair {
	t.Helper()
	v := fabricfake.NewVPC(w, "prod", "172.31.0.0/16")
	p := &pair{w: w, vpc: v, a: v.Subnet("a", "172.31.16.0/24", "a"), b: v.Subnet("b", "172.31.32.0/24", "a")}
	p.group = v.SecurityGroup("two").AllowIngress("tcp/22", fabricfake.Anywhere).AllowIngress("icmp", fabricfake.Anywhere)
	p.one = p.a.Instance("one", fabricfake.InstanceConfig{PrivateIP: "172.31.16.139"})
	p.two = p.b.Instance("two", fabricfake.InstanceConfig{PrivateIP: "172.31.32.21", Groups: fabricfake.Groups{p.group}})
	if err := serve(w, p.two.Host, 22); err != nil {
		t.Fatal(err)
	}
	return p
}

// talk has one say "hello" to two and wait until both have closed.
func (p *pair) talk(t *testing.T) {
	t.Helper()
	c, err := p.one.Dial("tcp", "172.31.32.21:22")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "hello")
	io.ReadFull(c, make([]byte, 5))
	c.Close()
}

const flowFields = "${version} ${srcaddr} ${dstaddr} ${dstport} ${tcp-flags} ${flow-direction} ${traffic-path} ${action} ${log-status}"

// A short connection as the records of both its interfaces show it: tcp-flags 3 on the
// client's side, 19 on the server's.
// fact: log.flags.short, log.path.vpc, log.path.egress, log.accept, log.record
func TestFlowLogConnection(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		// fact: log.resource.eni
		client := p.one.Interface().FlowLog("client", fabricfake.FlowLogConfig{Format: flowFields})
		// fact: log.resource.subnet
		server := p.b.FlowLog("server", fabricfake.FlowLogConfig{Format: flowFields})
		p.talk(t)
		w.Sleep(time.Minute)
		// The client's ephemeral port stands in the replies; dstport there is not compared.
		mask := func(lines []string) []string {
			for i, line := range lines {
				words := strings.Fields(line)
				if words[3] != "22" {
					words[3] = "*"
				}
				lines[i] = strings.Join(words, " ")
			}
			return lines
		}
		want := []string{
			"5 172.31.16.139 172.31.32.21 22 3 egress 1 ACCEPT OK",
			"5 172.31.32.21 172.31.16.139 * 19 ingress - ACCEPT OK",
		}
		if diff := cmp.Diff(want, mask(client.Lines())); diff != "" {
			t.Errorf("the client's records (-want +got):\n%s", diff)
		}
		want = []string{
			"5 172.31.16.139 172.31.32.21 22 3 ingress - ACCEPT OK",
			"5 172.31.32.21 172.31.16.139 * 19 egress 1 ACCEPT OK",
		}
		if diff := cmp.Diff(want, mask(server.Lines())); diff != "" {
			t.Errorf("the server's records (-want +got):\n%s", diff)
		}
	})
}

// The line of version 2, field for field.
// fact: log.v2, log.reject, log.startend
func TestFlowLogDefaultFormat(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		var out bytes.Buffer
		log := p.two.Interface().FlowLog("log", fabricfake.FlowLogConfig{Writer: &out})
		w.Sleep(10 * time.Second)
		u, err := p.one.Dial("udp", "172.31.32.21:53")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		sent := time.Now()
		u.Write(make([]byte, 100)) // no group lets it in
		w.Sleep(2 * time.Second)
		u.Write(make([]byte, 100))
		w.Sleep(48 * time.Second)
		arrival := sent.Add(fabricfake.LatencyZone).Unix()
		want := fmt.Sprintf("2 123456789012 %s 172.31.16.139 172.31.32.21 %s 53 17 2 256 %d %d REJECT OK\n",
			p.two.Interface().ID(), strings.Split(u.LocalAddr().String(), ":")[1], arrival, arrival+2)
		if out.String() != want {
			t.Errorf("written: %swant:    %s", out.String(), want)
		}
		if err := log.Err(); err != nil {
			t.Error(err)
		}
		if got := log.Records()[0].String() + "\n"; got != want {
			t.Errorf("record: %s", got)
		}
	})
}

// All the fields of versions 2 to 5 of one packet.
func TestFlowLogVersions(t *testing.T) {
	for _, row := range []struct{ field, want string }{
		// fact: log.version
		{"${version}", "2"},
		// fact: log.version, log.v3
		{"${version} ${vpc-id}", "3 vpc-00000000000000001"},
		// fact: log.version, log.v4
		{"${version} ${region}", "4 ap-southeast-2"},
		// fact: log.version, log.v5
		{"${version} ${flow-direction}", "5 egress"},
		// fact: log.v3
		{"${version} ${subnet-id}", "3 subnet-00001000000000001"},
		// fact: log.v3
		{"${version} ${instance-id}", "3 i-00000000000000001"},
		// fact: log.v3
		{"${version} ${type}", "3 IPv4"},
		// fact: log.v3
		{"${version} ${pkt-srcaddr} ${pkt-dstaddr}", "3 172.31.16.139 172.31.32.21"},
		// fact: log.v3
		{"${version} ${tcp-flags}", "3 0"},
		// fact: log.version, log.v5
		{"${version} ${tcp-flags} ${traffic-path} ${az-id}", "5 0 1 apse2-az1"},
		// fact: log.v4
		{"${version} ${az-id}", "4 apse2-az1"},
		// fact: log.v4
		{"${version} ${sublocation-type} ${sublocation-id}", "4 - -"},
		// fact: log.v5
		{"${version} ${pkt-src-aws-service} ${pkt-dst-aws-service}", "5 - -"},
		// fact: log.v5, log.icmp
		{"${version} ${traffic-path} ${protocol} ${packets} ${srcport}", "5 1 1 1 0"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			log := p.one.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: row.field})
			if _, err := p.one.Ping(t.Context(), p.two.Addr()); err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Minute)
			if got := log.Lines(); len(got) != 2 || got[0] != row.want {
				t.Errorf("%s: %q, want %q first of two", row.field, got, row.want)
			}
		})
	}
}

// A window without traffic has a record that says so, once somebody looks; a world in
// which nothing happens is not woken for it.
// fact: log.nodata
func TestFlowLogNoData(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		format := "${interface-id} ${srcaddr} ${packets} ${start} ${end} ${action} ${log-status}"
		log := p.one.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: format})
		began, events := time.Now().Unix(), w.Events()
		w.Sleep(150 * time.Second)
		if n := w.Events() - events; n != 0 {
			t.Errorf("%d events in a world where nothing happens", n)
		}
		want := []string{
			fmt.Sprintf("%s - - %d %d - NODATA", p.one.Interface().ID(), began, began+60),
			fmt.Sprintf("%s - - %d %d - NODATA", p.one.Interface().ID(), began+60, began+120),
		}
		if diff := cmp.Diff(want, log.Lines()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Interfaces of instances have windows of a minute, those of services the window that
// was asked for.
// fact: log.window, log.window.nitro, log.resource.vpc
func TestFlowLogWindow(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		p.b.Appliance("service", &sink{})
		slow := p.vpc.FlowLog("slow", fabricfake.FlowLogConfig{})
		fast := p.vpc.FlowLog("fast", fabricfake.FlowLogConfig{Window: fabricfake.NitroFlowWindow})
		w.Sleep(fabricfake.DefaultFlowWindow)
		count := func(l *fabricfake.FlowLog, name string) (n int) {
			for _, r := range l.Records() {
				if r.Interface.String() == name {
					n++
				}
			}
			return n
		}
		if one, service := count(slow, "one"), count(slow, "service"); one != 10 || service != 1 {
			t.Errorf("windows of 600 s: %d records of an instance and %d of a service in 600 s, want 10 and 1", one, service)
		}
		if service := count(fast, "service"); service != 10 {
			t.Errorf("windows of 60 s: %d records of a service in 600 s, want 10", service)
		}
	})
}

// The stateless trap: a ping that group and ACL let in, and whose answer the ACL keeps
// in, is accepted one way and rejected the other; refused by the group it is one
// rejected record. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html
func TestFlowLogPing(t *testing.T) {
	ping := func(t *testing.T, block func(*pair)) []string {
		var lines []string
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			block(p)
			log := p.two.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: "${flow-direction} ${protocol} ${packets} ${action}"})
			p.one.Ping(t.Context(), p.two.Addr())
			w.Sleep(time.Minute)
			lines = log.Lines()
		})
		return lines
	}
	for _, row := range []struct {
		name  string
		block func(*pair)
		want  []string
	}{
		// fact: log.ping.acl
		{"let through", func(*pair) {}, []string{"egress 1 1 ACCEPT", "ingress 1 1 ACCEPT"}},
		// fact: log.ping.acl, log.reject
		{"the ACL keeps the answer", func(p *pair) { p.b.UseACL(p.vpc.NetworkACL("oneway").AllowIngress(100, "all", "0.0.0.0/0")) },
			[]string{"egress 1 1 REJECT", "ingress 1 1 ACCEPT"}},
		// fact: log.ping.sg, log.reject
		{"the group refuses", func(p *pair) { p.group.RevokeIngress("icmp", fabricfake.Anywhere) }, []string{"ingress 1 1 REJECT"}},
	} {
		got := ping(t, row.block)
		slices.Sort(got)
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

// What is chosen is recorded, and nothing else.
func TestFlowLogTraffic(t *testing.T) {
	for _, row := range []struct {
		traffic fabricfake.FlowTraffic
		want    []string
	}{
		// fact: log.traffic
		{fabricfake.AllTraffic, []string{"ACCEPT", "REJECT"}},
		// fact: log.traffic, log.accept
		{fabricfake.AcceptedTraffic, []string{"ACCEPT"}},
		// fact: log.traffic, log.reject
		{fabricfake.RejectedTraffic, []string{"REJECT"}},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			log := p.two.Interface().FlowLog("log", fabricfake.FlowLogConfig{Traffic: row.traffic, Format: "${action}"})
			p.one.Dial("udp", "172.31.32.21:53")
			u, err := p.one.Dial("udp", "172.31.32.21:53")
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			u.Write([]byte("no"))
			p.talk(t)
			w.Sleep(time.Minute)
			got := log.Lines()
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, row.want) {
				t.Errorf("traffic %d: %v, want %v", row.traffic, got, row.want)
			}
		})
	}
}

// A flow log that is deleted keeps what it has and records no more; an interface that
// comes later is recorded by those of its subnet.
func TestFlowLogDelete(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		log, other := p.a.FlowLog("log", fabricfake.FlowLogConfig{Format: "${packets}"}), p.b.FlowLog("other", fabricfake.FlowLogConfig{})
		third := p.a.Instance("third", fabricfake.InstanceConfig{})
		if _, err := third.Ping(t.Context(), p.two.Addr()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Minute)
		log.Delete()
		log.Delete()
		third.Ping(t.Context(), p.two.Addr())
		w.Sleep(time.Minute)
		if got := log.Lines(); !slices.Equal(got, []string{"-", "1", "1"}) {
			t.Errorf("records %v: want nothing of one, and a request and an answer of third", got)
		}
		if got := len(other.Records()); got != 4 {
			t.Errorf("the other flow log has %d records, want 4", got)
		}
		p.a.FlowLog("log", fabricfake.FlowLogConfig{}) // the name is free again
	})
}

// A writer that fails is asked once.
func TestFlowLogWriteError(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		full := &fullWriter{}
		log := p.a.FlowLog("log", fabricfake.FlowLogConfig{Writer: full})
		w.Sleep(2 * time.Minute)
		if n := len(log.Records()); n != 2 || full.asked != 1 || !errors.Is(log.Err(), errFull) {
			t.Errorf("%d records, %d writes, error %v", n, full.asked, log.Err())
		}
	})
}

var errFull = errors.New("the disk is full")

type fullWriter struct{ asked int }

func (f *fullWriter) Write([]byte) (int, error) { f.asked++; return 0, errFull }

func TestFlowLogErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		cfg  fabricfake.FlowLogConfig
		want string
	}{
		{"", fabricfake.FlowLogConfig{}, "the flow log has no name"},
		{"log", fabricfake.FlowLogConfig{Format: "srcaddr"}, `"srcaddr" is no field`},
		{"log", fabricfake.FlowLogConfig{Format: "${ecs-task-id}"}, "no field ecs-task-id in versions 2 to 5"},
		{"log", fabricfake.FlowLogConfig{Format: " "}, "has no field"},
		{"log", fabricfake.FlowLogConfig{Window: time.Second}, "Window is 1s"},
		{"log", fabricfake.FlowLogConfig{Traffic: 7}, "Traffic is 7"},
		// fact: log.twice
		{"taken", fabricfake.FlowLogConfig{}, "FlowLogAlreadyExists: vpc prod has a flow log taken"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			v.FlowLog("taken", fabricfake.FlowLogConfig{})
			v.FlowLog(row.name, row.cfg)
		})
		if !strings.Contains(failure, row.want) {
			t.Errorf("%+v fails with %q, want %q", row, failure, row.want)
		}
	}
}

// sink is a service behind an interface that takes everything.
type sink struct{}

func (*sink) String() string { return "sink" }
func (s *sink) Step(p *netfake.Packet) netfake.Next {
	return p.Delivered(netfake.Hop{By: s})
}

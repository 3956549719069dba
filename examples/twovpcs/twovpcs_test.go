// Package twovpcs is the classic test of isolation: two VPCs with the same addresses,
// whose instances run on the same two physical hosts.
//
// What breaks in production: a fabric that confuses tenants, or believes what a sender
// says of itself. Nobody sees it until one customer's packet is another's.
//
// What the tests prove: the VPCs never mix; a packet with an address that is not its
// sender's is dropped where it is sent; a forged frame is dropped where it is received;
// each raises an alarm, and the forger gets no answer.
package twovpcs

import (
	"encoding/binary"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// tenant is one VPC: a client on one physical host, a server on the other.
type tenant struct {
	vpc            *fabricfake.VPC
	client, server *fabricfake.Instance
}

// build makes the tenants blue and red, alike in everything but their name.
func build(w *netfake.World) (blue, red *tenant, left, right *fabricfake.PhysicalHost) {
	region := fabricfake.DefaultRegion(w)
	left, right = region.PhysicalHost("left", "a"), region.PhysicalHost("right", "a")
	tenants := [2]*tenant{}
	for i, name := range []string{"blue", "red"} {
		vpc := fabricfake.NewVPC(w, name, "10.0.0.0/16")
		subnet := vpc.Subnet("all", "10.0.0.0/24", "a")
		open := vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
		launch := func(role, addr string, on *fabricfake.PhysicalHost) *fabricfake.Instance {
			return subnet.Instance(name+" "+role, fabricfake.InstanceConfig{PrivateIP: addr, On: on, Groups: fabricfake.Groups{open}})
		}
		x := &tenant{vpc, launch("client", "10.0.0.10", left), launch("server", "10.0.0.20", right)}
		x.server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, name) }))
		tenants[i] = x
	}
	return tenants[0], tenants[1], left, right
}

// fact: isolation.tenants
func TestNeverMix(t *testing.T) { netfake.Run(t, testNeverMix) }

func testNeverMix(t *testing.T, w *netfake.World) {
	blue, red, _, _ := build(w)
	assert.Equal(t, blue.client.Addr(), red.client.Addr())
	for range 50 {
		for _, x := range []*tenant{blue, red} {
			resp, err := x.client.HTTPClient().Get("http://10.0.0.20/")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			assert.Equal(t, string(body), x.vpc.Name())
		}
	}
	// One of them is told to be silent, and only that one is.
	blue.server.Crash()
	assert.Unreachable(t, blue.client, blue.server.TCP(80), assert.BlockedBy(blue.server))
	assert.Reachable(t, red.client, red.server.TCP(80))
	assert.Equal(t, len(w.Alarms()), 0)
}

// Both tenants ask at the same instant, from the same address and over the same wires, of
// which a part is lost: no run differs from another, because what happens to one of them
// does not hang on the other.
func TestRepeats(t *testing.T) {
	netfake.CheckDeterministic(t, 7, func(t *testing.T, w *netfake.World) {
		blue, red, _, _ := build(w)
		fabricfake.DefaultRegion(w).Link("a", "a").SetLoss(0.2)
		var both sync.WaitGroup
		for _, x := range []*tenant{blue, red} {
			both.Go(func() {
				resp, err := x.client.HTTPClient().Get("http://10.0.0.20/")
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			})
		}
		both.Wait()
	})
}

// A tenant that claims an address that is not its own is stopped on its own host.
// fact: isolation.source
func TestLyingSender(t *testing.T) { netfake.Run(t, testLyingSender) }

func testLyingSender(t *testing.T, w *netfake.World) {
	blue, red, _, _ := build(w)
	listen := udp(t, red.server)
	eth := red.client.Interface()

	// Its own address passes: this is what the forgery differs from.
	eth.Inject(datagram("10.0.0.10", "10.0.0.20"))
	assert.Equal(t, received(listen), 1)
	assert.Equal(t, len(w.Alarms()), 0)

	eth.Inject(datagram("10.0.0.99", "10.0.0.20"))
	assert.Equal(t, received(listen), 0)
	wantAlarm(t, w, eth, "sends as 10.0.0.99")
	assert.Equal(t, received(udp(t, blue.server)), 0)
}

// Somebody who owns a physical host, and so its wire, is stopped by the receiver.
// fact: walk.validate.alarm
func TestForgedFrame(t *testing.T) { netfake.Run(t, testForgedFrame) }

func testForgedFrame(t *testing.T, w *netfake.World) {
	blue, red, left, right := build(w)
	listen := udp(t, red.server)
	frame := fabricfake.Frame{
		From: left.Addr(), To: right.Addr(), VNI: red.vpc.VNI(),
		Source: red.client.Interface().Number(), Receiver: red.server.Interface().Number(),
		Inner: datagram("10.0.0.10", "10.0.0.20"),
	}
	left.Inject(frame.Marshal()) // as the host itself would send it
	assert.Equal(t, received(listen), 1)

	attacker := fabricfake.DefaultRegion(w).PhysicalHost("attacker", "a")
	for _, forged := range []struct {
		name  string
		from  *fabricfake.PhysicalHost
		edit  func(*fabricfake.Frame)
		alarm string
	}{
		{"from a host where the sender is not", attacker, func(f *fabricfake.Frame) { f.From = attacker.Addr() }, "which is not there"},
		{"an outer source that is nobody's", attacker, func(f *fabricfake.Frame) { f.From = attacker.Addr().Next().Next() }, "where nothing is"},
		{"another VPC's number", left, func(f *fabricfake.Frame) { f.VNI = blue.vpc.VNI() }, "which is not here"},
		{"another VPC's sender", left, func(f *fabricfake.Frame) { f.Source = blue.client.Interface().Number() }, "which is not there"},
		{"another VPC's receiver", left, func(f *fabricfake.Frame) { f.Receiver = blue.server.Interface().Number() }, "which is not here"},
		{"an inner source that is mapped elsewhere", left, func(f *fabricfake.Frame) { f.Inner = datagram("10.0.0.20", "10.0.0.20") }, "which is not mapped there"},
	} {
		before, answered := len(w.Alarms()), answers(w)
		f := frame
		forged.edit(&f)
		forged.from.Inject(f.Marshal())
		if n := received(listen); n != 0 {
			t.Errorf("%s: the frame's datagram was delivered", forged.name)
		}
		if got := len(w.Alarms()); got != before+1 {
			t.Errorf("%s: %d alarms, want one", forged.name, got-before)
		}
		wantAlarm(t, w, nil, forged.alarm)
		if n := answered(); n != 0 {
			t.Errorf("%s: it was answered with %d packets", forged.name, n)
		}
	}
	assert.Equal(t, received(udp(t, blue.server)), 0)
}

// answers counts the packets that the VPCs' instances send from now on.
func answers(w *netfake.World) (count func() int) {
	rec := w.Record(nil)
	return func() (n int) {
		rec.Stop()
		for _, trace := range rec.Traces() {
			if !strings.HasSuffix(trace.From, " wire") {
				n++
			}
		}
		return n
	}
}

// udp opens port 9 on an instance; received counts what comes there within a second.
func udp(t *testing.T, i *fabricfake.Instance) *netfake.UDPConn {
	t.Helper()
	c, err := i.ListenPacket("udp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	return c.(*netfake.UDPConn)
}

func received(c *netfake.UDPConn) (n int) {
	c.SetReadDeadline(time.Now().Add(time.Second))
	for {
		if _, _, err := c.ReadFrom(make([]byte, 100)); err != nil {
			return n
		}
		n++
	}
}

func wantAlarm(t *testing.T, w *netfake.World, by netfake.Component, what string) {
	t.Helper()
	alarms := w.Alarms()
	if len(alarms) == 0 {
		t.Fatalf("no alarm, want one that says %q", what)
	}
	last := alarms[len(alarms)-1]
	if !strings.Contains(last.What, what) || (by != nil && last.By != by) {
		t.Errorf("the last alarm is %v, want one that says %q", last, what)
	}
}

// datagram is an IP packet with a UDP datagram to port 9, as bytes.
func datagram(src, dst string) []byte {
	b := make([]byte, 32)
	ip, udp := b[:20], b[20:]
	ip[0], ip[3], ip[8], ip[9] = 0x45, 32, 64, 17
	copy(ip[12:], netip.MustParseAddr(src).AsSlice())
	copy(ip[16:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(udp, 4000)
	binary.BigEndian.PutUint16(udp[2:], 9)
	binary.BigEndian.PutUint16(udp[4:], 12) // no checksum, as UDP over IPv4 may do
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	return b
}

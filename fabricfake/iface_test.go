package fabricfake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

func TestInterfaceRefusals(t *testing.T) {
	type x struct {
		v       *fabricfake.VPC
		s       *fabricfake.Subnet
		i       *fabricfake.Instance
		quick   *fabricfake.Instance // is shut down in no time
		f       *fabricfake.Interface
		managed *fabricfake.Interface
	}
	none := fabricfake.InterfaceConfig{}
	for _, row := range []struct {
		do   func(x x)
		want string // "": accepted
	}{
		// Making one.
		{func(x x) { x.s.Interface("", none) }, "InvalidParameterValue: the interface has no name"},
		{func(x x) { x.s.Interface("f", none) }, "vpc prod has an interface f already"},
		{func(x x) { x.s.Interface("g", fabricfake.InterfaceConfig{AttachTime: -1}) }, "InterfaceConfig.AttachTime is -1ns"},
		{func(x x) { x.s.Interface("g", fabricfake.InterfaceConfig{PrivateIP: x.f.PrivateIP().String()}) }, "InvalidIPAddress.InUse"},
		{func(x x) {
			x.s.Interface("g", fabricfake.InterfaceConfig{ConnectionTracking: fabricfake.ConnectionTracking{UDPSingle: time.Second}})
		}, "ConnectionTracking.UDPSingle is 1s: it is from 30s to 1m0s"},
		// Attaching it.
		{func(x x) { x.f.Attach(x.i) }, ""},
		{func(x x) { x.f.Attach(nil) }, "InvalidInstanceID.NotFound"},
		{func(x x) { x.f.Attach(x.i); x.f.Attach(x.i) }, "InvalidNetworkInterface.InUse: f is attached to i"},
		{func(x x) { x.i.Interface().Attach(x.i) }, "InvalidNetworkInterface.InUse: i is attached to i"},
		// fact: eni.zone
		{func(x x) { x.v.Subnet("b", "10.0.2.0/24", "b").Interface("g", none).Attach(x.i) }, "InvalidParameterCombination: g is in zone b, and i in zone a"},
		{func(x x) { x.i.Stop(); x.f.Attach(x.i) }, "IncorrectInstanceState: i is stopping"},
		{func(x x) { x.quick.Stop(); x.quick.Await(fabricfake.Stopped); x.f.Attach(x.quick) }, ""},
		{func(x x) { x.quick.Terminate(); x.quick.Await(fabricfake.Terminated); x.f.Attach(x.quick) }, "IncorrectInstanceState: quick is terminated"},
		{func(x x) { x.f.Attach(x.s.Instance("one", fabricfake.InstanceConfig{MaxInterfaces: 1})) }, "AttachmentLimitExceeded: one has 1 interfaces"},
		{func(x x) {
			for n := range fabricfake.DefaultMaxInterfaces {
				x.s.Interface(fmt.Sprint(n), none).Attach(x.i)
			}
		}, "AttachmentLimitExceeded: i has 15 interfaces"},
		// Detaching it.
		{func(x x) { x.f.Detach() }, "InvalidAttachmentID.NotFound: f is attached to nothing"},
		// fact: eni.primary.detach
		{func(x x) { x.i.Interface().Detach() }, "OperationNotPermitted: i is at device index 0 of i, and cannot be detached"},
		// fact: eni.primary.detach
		{func(x x) { x.f.Attach(x.i); x.f.Detach() }, ""},
		// Deleting it.
		{func(x x) { x.f.Attach(x.i); x.f.Delete() }, "InvalidNetworkInterface.InUse: f is attached to i"},
		{func(x x) { x.f.Delete(); x.f.Delete() }, "InvalidNetworkInterfaceID.NotFound: f is deleted"},
		{func(x x) { x.f.Delete(); x.f.Attach(x.i) }, "InvalidNetworkInterfaceID.NotFound"},
		{func(x x) { x.f.Delete(); x.f.AssignPrivateIP("") }, "InvalidNetworkInterfaceID.NotFound"},
		{func(x x) { x.f.Delete(); x.s.Interface("f", none) }, ""},
		// Nobody but the service changes its interface.
		// fact: eni.managed
		{func(x x) { x.managed.Attach(x.i) }, "OperationNotPermitted: service is managed by a service"},
		// fact: eni.managed
		{func(x x) { x.managed.Detach() }, "OperationNotPermitted"},
		// fact: eni.managed
		{func(x x) { x.managed.Delete() }, "OperationNotPermitted"},
		{func(x x) { x.managed.SetGroups(fabricfake.Groups{x.v.DefaultSecurityGroup()}) }, "OperationNotPermitted"},
		{func(x x) { x.managed.SetSourceDestCheck(fabricfake.SourceDestCheckOn) }, "OperationNotPermitted"},
		{func(x x) { x.managed.SetConnectionTracking(fabricfake.ConnectionTracking{}) }, "OperationNotPermitted"},
		{func(x x) { x.managed.AssignPrivateIP("") }, ""}, // which is the service's own doing
		// fact: eni.managed
		{func(x x) { x.f.MovePrivateIP(x.managed.AssignPrivateIP("").String()) }, "OperationNotPermitted: 10.0.1.8 is an address of service"},
		{func(x x) {
			x.managed.Subnet().Appliance("heir", &sink{}).MovePrivateIP(x.managed.AssignPrivateIP("").String())
		}, ""},
		// fact: eni.groups.one
		{func(x x) { x.f.SetGroups(nil) }, "InvalidParameterCombination: f is to have no group"},
		// fact: eni.groups.one
		{func(x x) { x.f.SetGroups(fabricfake.Groups{x.v.DefaultSecurityGroup()}) }, ""},
		// What its owner may set.
		{func(x x) { x.f.SetSourceDestCheck(2) }, "SourceDestCheck is 2"},
		{func(x x) { x.f.SetConnectionTracking(fabricfake.ConnectionTracking{TCPEstablished: 59 * time.Second}) }, "ConnectionTracking.TCPEstablished is 59s: it is from 1m0s"},
		{func(x x) { x.f.SetConnectionTracking(fabricfake.ConnectionTracking{TCPEstablished: time.Minute}) }, ""},
		{func(x x) { x.f.Inject([]byte{0x45}) }, "IncorrectState: f is attached to no instance"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			s := v.Subnet("s", "10.0.1.0/24", "a")
			quick := s.Instance("quick", fabricfake.InstanceConfig{ShutdownTime: 1})
			row.do(x{v, s, s.Instance("i", fabricfake.InstanceConfig{}), quick, s.Interface("f", none), s.Appliance("service", w.NewHost("service", netfake.Place{}))})
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("fails with %q, want %q", failure, row.want)
		}
	}
}

// With the check off an interface takes and sends what is for others; switched on again it
// does not.
// fact: eni.check.egress, eni.check.off
func TestSetSourceDestCheck(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		f := p.one.Interface()
		foreign := func() int { // how many alarms it takes to send as somebody else
			before := len(w.Alarms())
			f.Inject(datagram("192.0.2.1:9", "172.31.32.21:22", "hello"))
			return len(w.Alarms()) - before
		}
		if n := foreign(); n != 1 {
			t.Errorf("%d alarms with the check on", n)
		}
		f.SetSourceDestCheck(fabricfake.SourceDestCheckOff)
		if n := foreign(); n != 0 {
			t.Errorf("%d alarms with the check off", n)
		}
		f.SetSourceDestCheck(fabricfake.SourceDestCheckOn)
		if n := foreign(); n != 1 {
			t.Errorf("%d alarms with the check on again", n)
		}
	})
}

// A tracked connection that is silent for as long as its interface's timeout is forgotten:
// then the server's next segment is dropped, which any rule would have let out.
// fact: ct.tcp.range
func TestConnectionTrackingOfInterface(t *testing.T) {
	for _, row := range []struct {
		idle  time.Duration
		works bool
	}{
		{70*time.Second - 1, true},
		{70 * time.Second, false},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			four := p.b.Instance("four", fabricfake.InstanceConfig{
				Groups: fabricfake.Groups{p.group}, ConnectionTracking: fabricfake.ConnectionTracking{TCPEstablished: 60 * time.Second},
			})
			four.Interface().SetConnectionTracking(fabricfake.ConnectionTracking{TCPEstablished: 70 * time.Second})
			p.group.RevokeIngress("tcp/22", fabricfake.Anywhere).AllowIngress("tcp/22", p.vpc.DefaultSecurityGroup())
			if err := serve(w, four.Host, 22); err != nil {
				t.Fatal(err)
			}
			d := netfake.Dialer{Host: p.one.Host, KeepAlive: -1}
			c, err := d.Dial("tcp", four.Addr().String()+":22")
			if err != nil {
				t.Fatal(err)
			}
			four.Pause() // nothing of its own is sent meanwhile
			w.Sleep(row.idle - w.Now() + 2*fabricfake.LatencyZone)
			four.Resume()
			if err := say(c, 10*time.Second); (err == nil) != row.works {
				t.Errorf("after %v: %v", row.idle, err)
			}
		})
	}
}

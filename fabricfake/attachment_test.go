package fabricfake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// attached tells what ties an interface to an instance.
func attached(f *fabricfake.Interface) string {
	a := f.Attachment()
	if a.Instance == nil {
		return a.Status.String()
	}
	return fmt.Sprintf("%v to %v at %d since %v", a.Status, a.Instance, a.DeviceIndex, a.At)
}

// An attachment goes through its statuses at exact times, and has a device index that stays.
// fact: eni.attachment, eni.attachment.index
func TestAttachmentStatuses(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		quick := p.b.Interface("quick", fabricfake.InterfaceConfig{})
		slow := p.b.Interface("slow", fabricfake.InterfaceConfig{AttachTime: 3 * time.Second})
		third := p.b.Interface("third", fabricfake.InterfaceConfig{})
		for _, step := range []struct {
			after time.Duration
			do    func()
			of    *fabricfake.Interface
			want  string
		}{
			{0, func() {}, p.two.Interface(), "attached to two at 0 since 0s"},
			{0, func() {}, quick, "detached"},
			{time.Second, func() { quick.Attach(p.two) }, quick, "attached to two at 1 since 1s"},
			{time.Second, func() { slow.Attach(p.two) }, slow, "attaching to two at 2 since 2s"},
			{3*time.Second - 1, func() {}, slow, "attaching to two at 2 since 2s"},
			{1, func() { quick.Detach() }, slow, "attached to two at 2 since 2s"},
			{0, func() { slow.Detach() }, slow, "detaching to two at 2 since 2s"},
			{0, func() { third.Attach(p.two) }, third, "attached to two at 1 since 5s"}, // where quick was
			{3 * time.Second, func() {}, slow, "detached"},
		} {
			w.Sleep(step.after)
			step.do()
			if got := attached(step.of); got != step.want {
				t.Errorf("at %v: %v is %s, want %s", w.Now(), step.of, got, step.want)
			}
		}
	})
}

// By force an interface is detached at once, whatever is under way. The index that it had is
// given again when the instance has been stopped.
// fact: eni.detach.force, eni.detach.force.index
func TestForceDetach(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		slow := p.b.Interface("slow", fabricfake.InterfaceConfig{AttachTime: time.Hour})
		slow.Attach(p.two)
		slow.ForceDetach() // in the middle of it
		wantStatus(t, slow, fabricfake.InterfaceAvailable)
		slow.Attach(p.two)
		if got := attached(slow); got != "attaching to two at 2 since 0s" {
			t.Errorf("attached again: %s", got)
		}
		w.Sleep(time.Hour)
		p.two.Crash()
		slow.Detach()
		w.Sleep(time.Hour - 1)
		wantStatus(t, slow, fabricfake.InterfaceDetaching)
		slow.ForceDetach()
		wantStatus(t, slow, fabricfake.InterfaceAvailable)
		w.Sleep(time.Hour)
		wantStatus(t, slow, fabricfake.InterfaceAvailable)
		p.two.Stop()
		p.two.Await(fabricfake.Stopped)
		slow.Attach(p.two)
		if got := slow.Attachment().DeviceIndex; got != 1 {
			t.Errorf("after a stop at %d", got)
		}
	})
}

// An instance is launched with an interface that was there, with its addresses, groups and
// connections, and leaves it behind.
// fact: eni.launch, eni.launch.keep
func TestLaunchWithInterface(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		p.b.AutoAssignPublicIP(fabricfake.AutoAssignOn)
		f := p.b.Interface("kept", fabricfake.InterfaceConfig{PrivateIP: "172.31.32.99", SecondaryIPs: []string{"172.31.32.100"}, Groups: fabricfake.Groups{p.group}})
		var ids []string
		for n := range 2 {
			i := p.b.Instance(fmt.Sprint("box", n), fabricfake.InstanceConfig{Interface: f, ShutdownTime: 1})
			ids = append(ids, i.ID())
			if err := serve(w, i.Host, 22); err != nil {
				t.Fatal(err)
			}
			if i.Interface() != f || i.Addr() != f.PrivateIP() || len(i.Interfaces()) != 1 || f.PublicIP().IsValid() || f.String() != "kept" {
				t.Errorf("%v has %v with %v, public %v", i, i.Interfaces(), i.Addr(), f.PublicIP())
			}
			for _, addr := range f.Addresses() {
				c, err := p.one.Dial("tcp", addr.String()+":22")
				if err != nil {
					t.Fatal(err)
				}
				if err := say(c, time.Second); err != nil {
					t.Error(err)
				}
				c.Close()
			}
			i.Stop()
			i.Await(fabricfake.Stopped)
			i.Start()
			i.Terminate()
			i.Await(fabricfake.Terminated)
			wantStatus(t, f, fabricfake.InterfaceAvailable)
		}
		if ids[0] == ids[1] || ids[0] == p.two.ID() {
			t.Errorf("the instances are %v", ids)
		}
	})
}

// What becomes of a primary interface when its instance is terminated: by default one that was
// there before stays, and one that was made with the instance goes.
// fact: eni.launch.keep, eni.launch.delete
func TestPrimaryOnTermination(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
		for n, row := range []struct {
			there fabricfake.OnTermination // of an interface that is there
			made  fabricfake.OnTermination // of the instance
			set   fabricfake.OnTermination // later
			want  fabricfake.InterfaceStatus
		}{
			{there: fabricfake.OnTerminationDefault, want: fabricfake.InterfaceAvailable},
			{there: fabricfake.DeleteOnTermination, want: fabricfake.InterfaceDeleted},
			{there: fabricfake.DeleteOnTermination, made: fabricfake.KeepOnTermination, want: fabricfake.InterfaceAvailable},
			{there: fabricfake.OnTerminationDefault, set: fabricfake.DeleteOnTermination, want: fabricfake.InterfaceDeleted},
		} {
			f := s.Interface(fmt.Sprint("f", n), fabricfake.InterfaceConfig{OnTermination: row.there})
			i := s.Instance(fmt.Sprint("i", n), fabricfake.InstanceConfig{Interface: f, OnTermination: row.made})
			if row.set != 0 {
				f.SetOnTermination(row.set)
			}
			i.ForceTerminate()
			wantStatus(t, f, row.want)
		}
		i := s.Instance("made", fabricfake.InstanceConfig{})
		i.ForceTerminate()
		wantStatus(t, i.Interface(), fabricfake.InterfaceDeleted)
	})
}

func TestAttachmentRefusals(t *testing.T) {
	type x struct {
		s, other *fabricfake.Subnet // in zones a and b
		i        *fabricfake.Instance
		f        *fabricfake.Interface
	}
	launch := func(x x, cfg fabricfake.InstanceConfig) { cfg.Interface = x.f; x.s.Instance("new", cfg) }
	for _, row := range []struct {
		name string
		do   func(x x)
		want string // "": accepted
	}{
		{"an interface", func(x x) { launch(x, fabricfake.InstanceConfig{}) }, ""},
		// fact: eni.launch.inuse
		{"one that is attached", func(x x) { x.f.Attach(x.i); launch(x, fabricfake.InstanceConfig{}) }, "InvalidNetworkInterface.InUse: f is attached to i"},
		// fact: eni.launch.inuse
		{"one that was", func(x x) { x.f.Attach(x.i); x.f.Detach(); launch(x, fabricfake.InstanceConfig{}) }, ""},
		{"one that is deleted", func(x x) { x.f.Delete(); launch(x, fabricfake.InstanceConfig{}) }, "InvalidNetworkInterfaceID.NotFound: f is deleted"},
		{"one of another zone", func(x x) { x.other.Instance("new", fabricfake.InstanceConfig{Interface: x.f}) }, "InvalidParameterCombination: f is in the subnet s, in zone a"},
		{"one of a service", func(x x) {
			x.s.Instance("new", fabricfake.InstanceConfig{Interface: x.s.Appliance("nat", x.i.Host)})
		}, "OperationNotPermitted"},
		// fact: eni.launch.mix
		{"groups", func(x x) { launch(x, fabricfake.InstanceConfig{Groups: x.f.Groups()}) }, "InvalidParameterCombination: f has Groups of its own"},
		// fact: eni.launch.mix
		{"an address", func(x x) { launch(x, fabricfake.InstanceConfig{PrivateIP: "10.0.1.77"}) }, "InvalidParameterCombination: f has PrivateIP"},
		{"more addresses", func(x x) { launch(x, fabricfake.InstanceConfig{SecondaryIPs: []string{"10.0.1.77"}}) }, "f has SecondaryIPs"},
		{"addresses of IPv6", func(x x) { launch(x, fabricfake.InstanceConfig{IPv6AddressCount: 1}) }, "f has IPv6AddressCount"},
		{"an address of IPv6", func(x x) { launch(x, fabricfake.InstanceConfig{IPv6Addresses: []string{"2001:db8::7"}}) }, "f has IPv6Addresses"},
		{"the check", func(x x) { launch(x, fabricfake.InstanceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff}) }, "f has SourceDestCheck"},
		{"timeouts", func(x x) {
			launch(x, fabricfake.InstanceConfig{ConnectionTracking: fabricfake.ConnectionTracking{UDPSingle: time.Minute}})
		}, "f has ConnectionTracking"},
		// fact: eni.launch.public
		{"a public address", func(x x) { launch(x, fabricfake.InstanceConfig{PublicIP: fabricfake.AutoAssignOn}) }, "f has PublicIP"},
		{"no public address", func(x x) { launch(x, fabricfake.InstanceConfig{PublicIP: fabricfake.AutoAssignOff}) }, ""},
		// fact: eni.launch.delete
		{"to be deleted", func(x x) { launch(x, fabricfake.InstanceConfig{OnTermination: fabricfake.DeleteOnTermination}) }, "f has OnTermination"},
		{"to be kept", func(x x) { launch(x, fabricfake.InstanceConfig{OnTermination: fabricfake.KeepOnTermination}) }, ""},
		{"detaching the primary one by force", func(x x) { x.i.Interface().ForceDetach() }, "OperationNotPermitted: i is at device index 0 of i, and cannot be detached"},
		{"detaching nothing by force", func(x x) { x.f.ForceDetach() }, "InvalidAttachmentID.NotFound: f is attached to nothing"},
		{"detaching by force", func(x x) { x.f.Attach(x.i); x.f.ForceDetach() }, ""},
		{"what becomes of it, of nothing", func(x x) { x.f.SetOnTermination(fabricfake.DeleteOnTermination) }, "InvalidAttachmentID.NotFound"},
		{"what becomes of it, and not what", func(x x) { x.i.Interface().SetOnTermination(0) }, "OnTermination is 0"},
		{"what becomes of it", func(x x) { x.i.Interface().SetOnTermination(fabricfake.KeepOnTermination) }, ""},
	} {
		failure := fatal(t, func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			s := v.Subnet("s", "10.0.1.0/24", "a")
			row.do(x{s, v.Subnet("t", "10.0.2.0/24", "b"), s.Instance("i", fabricfake.InstanceConfig{}), s.Interface("f", fabricfake.InterfaceConfig{})})
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%s: fails with %q, want %q", row.name, failure, row.want)
		}
	}
}

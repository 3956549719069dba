package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// DefaultMaxInterfaces is how many interfaces an instance has, of the largest instance
// types. Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html
const DefaultMaxInterfaces = 15

// InterfaceStatus is what an interface is doing.
type InterfaceStatus uint8

// The statuses of an interface. The API has one more, associated, and does not say what of:
// interfaces of instances, as they are here, do not come to it.
const (
	InterfaceDeleted InterfaceStatus = iota
	InterfaceAvailable
	InterfaceAttaching
	InterfaceInUse
	InterfaceDetaching
)

// String returns the status as the API names it.
func (s InterfaceStatus) String() string {
	switch s {
	case InterfaceAvailable:
		return "available"
	case InterfaceAttaching:
		return "attaching"
	case InterfaceInUse:
		return "in-use"
	case InterfaceDetaching:
		return "detaching"
	}
	return "deleted"
}

// OnTermination says what becomes of an interface when its instance is terminated.
type OnTermination uint8

// The settings. The zero value is the real service's default: an interface that was made
// with its instance is deleted, another stays.
const (
	OnTerminationDefault OnTermination = iota
	DeleteOnTermination
	KeepOnTermination
)

// Status returns what the interface is doing. A service's is in use.
func (f *Interface) Status() (s InterfaceStatus) {
	f.vpc.world.Do(func(time.Duration) {
		switch {
		case f.gone:
			s = InterfaceDeleted
		case f.attachment.underway != 0:
			s = f.attachment.underway
		case f.managed || f.instance != nil:
			s = InterfaceInUse
		default:
			s = InterfaceAvailable
		}
	})
	return s
}

// Attach attaches the interface to an instance that runs or is stopped, behind those that
// it has. All that is the interface's comes with it: its addresses, public ones too, its
// groups, what these track, its source and destination check. The instance sends from its
// addresses through it; where a program names no source, packets leave through the primary
// interface. The interface may be in another subnet or VPC than the others.
//
// It fails the test for an instance in another zone (InvalidParameterCombination) or in a
// state in which it takes none (IncorrectInstanceState), for one that has as many
// interfaces as it may (AttachmentLimitExceeded), and for an interface that is attached
// (InvalidNetworkInterface.InUse).
func (f *Interface) Attach(i *Instance) {
	f.tb().Helper()
	f.modify(func(now time.Duration) error {
		if err := f.checkAttach(i); err != nil {
			return err
		}
		i.take(f, now)
		f.begin(InterfaceAttaching, now)
		return nil
	})
}

func (f *Interface) checkAttach(i *Instance) error {
	switch {
	case i == nil:
		return refuse(codeInstanceNotFound, "there is no instance that %s could be attached to", f.name)
	case f.instance != nil:
		return refuse(codeInterfaceInUse, "%s is attached to %s", f.name, f.instance.Name())
	case i.state != Running && i.state != Stopped:
		return refuse(codeInstanceState, "%s is %v, and takes an interface when it is running or stopped", i.Name(), i.state)
	case i.iface.vpc.region != f.vpc.region || i.iface.subnet.zone != f.subnet.zone:
		return refuse(codeParameterMix, "%s is in zone %s, and %s in zone %s", f.name, f.subnet.zone, i.Name(), i.iface.subnet.zone)
	case len(i.ifaces) >= i.cfg.MaxInterfaces:
		return refuse(codeAttachmentLimit, "%s has %d interfaces, as many as it may", i.Name(), len(i.ifaces))
	}
	return nil
}

// Detach takes the interface off its instance. Its addresses stay its own, and its
// connections stay tracked; packets to it are lost until it is attached again. It fails the
// test for an instance's primary interface (OperationNotPermitted), and for one that is not
// attached (InvalidAttachmentID.NotFound).
func (f *Interface) Detach() {
	f.tb().Helper()
	f.modify(func(now time.Duration) error {
		if f.attachment.underway == InterfaceDetaching {
			return refuse(codeAttachmentNotFound, "%s is attached to nothing", f.name)
		}
		if err := f.checkDetach(); err != nil {
			return err
		}
		f.begin(InterfaceDetaching, now)
		return nil
	})
}

// ForceDetach is Detach that takes no time, whatever AttachTime says, and ends an attachment
// or a detachment that is under way. It is for an instance that has failed: its device index
// is not given again until it has been stopped and started.
func (f *Interface) ForceDetach() {
	f.tb().Helper()
	f.modify(func(now time.Duration) error {
		if err := f.checkDetach(); err != nil {
			return err
		}
		i := f.instance
		i.spent = append(i.spent, f.attachment.index)
		f.leave(now)
		return nil
	})
}

func (f *Interface) checkDetach() error {
	switch {
	case f.instance == nil:
		return refuse(codeAttachmentNotFound, "%s is attached to nothing", f.name)
	case f.instance.iface == f:
		return refuse(codeNotPermitted, "%s is at device index 0 of %s, and cannot be detached", f.name, f.instance.Name())
	}
	return nil
}

// Delete deletes the interface and gives its addresses back; an elastic IP that belongs to
// it belongs to nobody then. Its flow logs and mirror sessions end. One that is attached
// fails the test with InvalidNetworkInterface.InUse.
func (f *Interface) Delete() {
	f.tb().Helper()
	f.modify(func(now time.Duration) error {
		if f.instance != nil {
			return refuse(codeInterfaceInUse, "%s is attached to %s", f.name, f.instance.Name())
		}
		f.remove(now)
		return nil
	})
}

// Instance returns the instance that the interface is attached to, nil if to none.
func (f *Interface) Instance() (i *Instance) {
	f.vpc.world.Do(func(time.Duration) { i = f.instance })
	return i
}

// plugIn connects the interface with its instance.
func (f *Interface) plugIn() {
	f.guest = f.instance.behind()
	for _, addr := range f.addresses() {
		f.plug(addr)
	}
	if f.instance.on != nil {
		f.place(f.instance.on.device)
	}
}

// leave is plugIn taken back, and the end of the attachment.
func (f *Interface) leave(now time.Duration) {
	i := f.instance
	f.unplace()
	for _, addr := range f.addresses() {
		f.unplug(addr, now)
	}
	i.ifaces = slices.DeleteFunc(i.ifaces, func(o *Interface) bool { return o == f })
	f.guest, f.instance = nil, nil
	f.attachment.underway = 0
	if f.attachment.timer != nil {
		f.attachment.timer.Stop()
	}
}

// nowhere is the device of an interface that is on no physical host: it has no address on
// the substrate.
func nowhere(r *Region) *device {
	return &device{region: r, name: "nowhere", ways: map[netip.Addr]way{}}
}

// placed reports whether the interface is on a physical host.
func (f *Interface) placed() bool { return f.device.addr.IsValid() }

// place puts the interface on a physical host, where packets find it from then on.
func (f *Interface) place(d *device) {
	f.device = d
	f.host.Store(d.host)
	d.mirrored += len(f.mirrors)
	f.announce()
}

// unplace takes it off its physical host.
func (f *Interface) unplace() {
	if !f.placed() {
		return
	}
	for _, addr := range f.addresses() {
		f.vpc.region.mapping.remove(f.vpc.vni, addr)
	}
	put(&f.device.left, f.id, f)
	f.device.mirrored -= len(f.mirrors)
	f.device = nowhere(f.vpc.region)
	f.host.Store(nil)
	f.device.mirrored = len(f.mirrors)
}

// absence says why the interface is on no physical host.
func (f *Interface) absence() string {
	switch {
	case f.gone:
		return f.name + " is deleted"
	case f.instance == nil:
		return f.name + " is attached to no instance"
	case f.attachment.underway != 0:
		return fmt.Sprintf("%s is %v", f.name, f.attachment.underway)
	}
	return fmt.Sprintf("%s is %v", f.instance.Name(), f.instance.state)
}

// unmapped explains why nothing has an address of the VPC: nobody has it, or an interface
// that is on no physical host.
func (v *VPC) unmapped(addr netip.Addr) (why string, code netfake.Code) {
	if f := v.holder(addr); f != nil && !f.placed() {
		return fmt.Sprintf("%v is of no use: %s", addr, f.absence()), codeBadState
	}
	return mappingKey{v.vni, addr}.unknown(), codeUnknownAddress
}

// remove deletes the interface.
func (f *Interface) remove(now time.Duration) {
	f.unplace()
	f.endRecords(now)
	for _, addr := range f.addresses() {
		f.untranslate(addr)
		f.subnet.release(addr)
	}
	delete(f.vpc.region.interfaces, f.id)
	put(&f.vpc.region.former, f.id, f)
	f.gone = true
}

// endRecords ends the interface's part in flow logs, whose windows close, and the mirror
// sessions from it and to it.
func (f *Interface) endRecords(now time.Duration) {
	for _, c := range f.logs {
		c.log.uncover(c, now)
	}
	f.logs = nil
	for _, s := range slices.Clone(f.mirrors) {
		s.end()
	}
	if f.mirrorTarget == 0 {
		return
	}
	for _, other := range f.vpc.interfaces() {
		for _, s := range slices.Clone(other.mirrors) {
			if s.cfg.Target == f {
				s.end()
			}
		}
	}
}

// Attached reports whether a route to the interface carries packets: while it is attached
// to an instance, also one that is stopped, where they are lost.
func (f *Interface) Attached() bool { return f != nil && !f.gone && (f.managed || f.instance != nil) }

// NextHop leads to the interface. Its source and destination check must be off for it to
// take what is for others.
func (f *Interface) NextHop() NextHop { return NextHop{Interface: f} }

package fabricfake

import (
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// AttachmentStatus is how far an interface is tied to an instance.
type AttachmentStatus uint8

// The statuses of an attachment.
const (
	Detached AttachmentStatus = iota
	Attaching
	Attached
	Detaching
)

// String returns the status as the API names it.
func (s AttachmentStatus) String() string {
	switch s {
	case Attaching:
		return "attaching"
	case Attached:
		return "attached"
	case Detaching:
		return "detaching"
	}
	return "detached"
}

// Attachment ties an interface to an instance. The zero Attachment is that of an interface
// that is attached to none.
type Attachment struct {
	Status      AttachmentStatus
	Instance    *Instance
	DeviceIndex int           // 0 for the primary interface
	At          time.Duration // since the world began, when it was begun

	// OnTermination is DeleteOnTermination or KeepOnTermination.
	OnTermination OnTermination
}

// Attachment returns what ties the interface to its instance. An interface of a service has
// none.
func (f *Interface) Attachment() (a Attachment) {
	f.vpc.world.Do(func(time.Duration) {
		if f.instance == nil {
			return
		}
		at := &f.attachment
		a = Attachment{Status: Attached, Instance: f.instance, DeviceIndex: at.index, At: at.since, OnTermination: at.ends}
		switch at.underway {
		case InterfaceAttaching:
			a.Status = Attaching
		case InterfaceDetaching:
			a.Status = Detaching
		}
	})
	return a
}

// SetOnTermination says what becomes of an interface when the instance that it is attached to
// is terminated. One that is attached to none fails the test with
// InvalidAttachmentID.NotFound.
func (f *Interface) SetOnTermination(t OnTermination) {
	f.tb().Helper()
	f.modify(func(time.Duration) error {
		switch {
		case t != DeleteOnTermination && t != KeepOnTermination:
			return refuse(codeParameterValue, "OnTermination is %d", t)
		case f.instance == nil:
			return refuse(codeAttachmentNotFound, "%s is attached to nothing", f.name)
		}
		f.attachment.ends = t
		return nil
	})
}

// attachment is what an interface knows of the way to its instance and back.
type attachment struct {
	takes    time.Duration // to attach and to detach
	ends     OnTermination
	index    int // of the device
	since    time.Duration
	underway InterfaceStatus // attaching or detaching, else zero
	timer    *netfake.Timer  // of what is under way
}

func (a *attachment) init(f *Interface, takes time.Duration, ends OnTermination) {
	a.takes, a.ends = takes, ends
	if takes > 0 {
		a.timer = f.vpc.world.NewTimer("attachment of "+f.ID(), f.settle)
	}
}

// take makes an interface one of the instance's, at the lowest device index that is free.
func (i *Instance) take(f *Interface, now time.Duration) {
	index := 0
	for slices.Contains(i.spent, index) || slices.ContainsFunc(i.ifaces, func(o *Interface) bool { return o.attachment.index == index }) {
		index++
	}
	f.instance, f.attachment.index, f.attachment.since = i, index, now
	i.ifaces = append(i.ifaces, f)
}

// settle ends what is under way.
func (f *Interface) settle(now time.Duration) {
	was := f.attachment.underway
	f.attachment.underway = 0
	switch was {
	case InterfaceAttaching:
		f.plugIn()
	case InterfaceDetaching:
		f.leave(now)
	}
}

// begin has an attachment or its end take as long as it takes, if the instance runs.
func (f *Interface) begin(s InterfaceStatus, now time.Duration) {
	f.attachment.underway = s
	if f.attachment.takes == 0 || f.instance.on == nil {
		f.settle(now)
		return
	}
	f.attachment.timer.Set(now + f.attachment.takes)
}

// checkPrimary refuses an interface with which no instance of a subnet can be launched, or
// which the rest of its configuration does not allow. Sources:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html
// and for the code https://github.com/aws/aws-sdk-ruby/issues/662
func (cfg *InstanceConfig) checkPrimary(s *Subnet) error {
	f := cfg.Interface
	switch {
	case f == nil:
		return nil
	case f.gone || f.vpc.region != s.vpc.region:
		return refuse(codeInterfaceNotFound, "%s is deleted, or in another region", f.name)
	case f.managed:
		return refuse(codeNotPermitted, "%s is managed by a service, which alone can change it", f.name)
	case f.instance != nil:
		return refuse(codeInterfaceInUse, "%s is attached to %s", f.name, f.instance.Name())
	case f.subnet != s:
		return refuse(codeParameterMix, "%s is in the subnet %s, in zone %s", f.name, f.subnet.name, f.subnet.zone)
	}
	for _, field := range []struct {
		set  bool
		name string
	}{
		{cfg.PrivateIP != "", "PrivateIP"},
		{len(cfg.SecondaryIPs) > 0, "SecondaryIPs"},
		{len(cfg.IPv6Addresses) > 0, "IPv6Addresses"},
		{cfg.IPv6AddressCount != 0, "IPv6AddressCount"},
		{cfg.PublicIP == AutoAssignOn, "PublicIP"},
		{len(cfg.Groups) > 0, "Groups"},
		{cfg.SourceDestCheck != SourceDestCheckOn, "SourceDestCheck"},
		{cfg.ConnectionTracking != ConnectionTracking{}, "ConnectionTracking"},
		{cfg.OnTermination == DeleteOnTermination, "OnTermination"},
	} {
		if field.set {
			return refuse(codeParameterMix, "%s has %s of its own: InstanceConfig.%s says what is for an interface that is made with the instance", f.name, field.name, field.name)
		}
	}
	return nil
}

package fabricfake

import (
	"context"
	"slices"
	"time"
)

// DefaultShutdownTime is how long an instance's operating system takes to shut down. AWS
// documents none; it is a number of the model, in the order of magnitude of a server that
// has little to do.
const DefaultShutdownTime = 5 * time.Second

// InstanceState is where an instance is in its life.
type InstanceState uint8

// The states of an instance.
const (
	Pending InstanceState = iota
	Running
	Stopping
	Stopped
	ShuttingDown
	Terminated
)

// String returns the state as the API names it.
func (s InstanceState) String() string {
	switch s {
	case Pending:
		return "pending"
	case Running:
		return "running"
	case Stopping:
		return "stopping"
	case Stopped:
		return "stopped"
	case ShuttingDown:
		return "shutting-down"
	}
	return "terminated"
}

// State returns the instance's state. One that has crashed, or whose physical host has
// failed, is running as far as the API knows.
func (i *Instance) State() (s InstanceState) {
	i.World().Do(func(time.Duration) { s = i.state })
	return s
}

// Await waits until the instance is in a state: for Stopped after Stop, for Running after
// Start. It fails the test, without waiting, if no change is under way that leads there.
func (i *Instance) Await(s InstanceState) {
	tb := i.tb()
	tb.Helper()
	for {
		var is InstanceState
		var changed <-chan struct{}
		i.World().Do(func(time.Duration) { is, changed = i.state, i.changed })
		switch {
		case is == s:
			return
		case is == Running || is == Stopped || is == Terminated:
			tb.Fatalf("%v", refuse(codeInstanceState, "%s is %v, and nothing is under way that would make it %v", i.Name(), is, s))
		}
		<-changed
	}
}

// Stop shuts the instance down: its programs end, whose peers get a FIN, or a RST where
// something was not read; its stack goes on for ShutdownTime, in which no socket can be
// opened; then it answers nothing and leaves its physical host. It keeps its interfaces,
// their private addresses and elastic IPs; a public address that was assigned to it goes.
// Routes to it stay and packets that take them are lost. What was stopped may be stopped
// again; an instance that is not running otherwise fails the test with
// IncorrectInstanceState.
func (i *Instance) Stop() { i.tb().Helper(); i.end(Stopping, Stopped) }

// Terminate shuts the instance down as Stop does, for good: then its addresses are free, its
// interface is deleted unless its configuration keeps it, and routes to that become
// blackholes. Interfaces that were attached to it are detached and stay, unless theirs says
// otherwise. Its name stays its own: traces and captures have it. Terminating twice is
// harmless.
func (i *Instance) Terminate() { i.tb().Helper(); i.end(ShuttingDown, Terminated) }

// ForceStop stops the instance without a shutdown of its operating system, at once, as
// StopInstances does with SkipOsShutdown: its sockets are gone without a packet, so that peers
// learn of it by timeout, and nothing that was written but not sent ever is. One that is
// stopping stops now, as with Force. In any other state it does what Stop does. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-stop-methods.html
func (i *Instance) ForceStop() { i.tb().Helper(); i.force(Stopping, Stopped) }

// ForceTerminate is Terminate without a shutdown, as ForceStop is Stop without one.
func (i *Instance) ForceTerminate() { i.tb().Helper(); i.force(ShuttingDown, Terminated) }

// force ends a shutdown that is under way, and skips it if none is.
func (i *Instance) force(during, after InstanceState) {
	i.tb().Helper()
	skipped := false
	i.World().Do(func(now time.Duration) {
		switch {
		case i.state == Running || i.state == Stopping || i.state == during || i.state == Pending && after == Terminated:
			skipped = true
			i.timer.Stop()
			i.enter(during)
			i.ended(now, after)
		}
	})
	if !skipped {
		i.end(during, after)
	}
}

// end begins to shut the instance down, unless it is down already.
func (i *Instance) end(during, after InstanceState) {
	w := i.World()
	w.TB().Helper()
	var err error
	w.Do(func(now time.Duration) {
		switch {
		case i.state == during || i.state == after || i.state == Terminated && after == Terminated:
		case after == Terminated && i.state == Stopped:
			i.ended(now, after)
		case after == Terminated && i.state == Stopping:
			i.enter(during)
			i.next = func(now time.Duration) { i.ended(now, after) }
		case i.state != Running && (i.state != Pending || after == Stopped):
			err = refuse(codeInstanceState, "%s is %v, and cannot be stopped", i.Name(), i.state)
		default:
			i.enter(during)
			i.EndPrograms()
			i.after(now, i.cfg.ShutdownTime, func(now time.Duration) { i.ended(now, after) })
		}
	})
	if err != nil {
		w.TB().Fatalf("%v", err)
	}
}

// ended is the end of a shutdown.
func (i *Instance) ended(now time.Duration, s InstanceState) {
	i.PowerOff()
	i.on, i.spent = nil, nil
	if s == Terminated {
		i.unplaceGroup()
	}
	for _, f := range slices.Clone(i.ifaces) {
		f.unplace()
		f.loseAssigned()
		if s == Terminated {
			f.leave(now)
			if f.attachment.ends == DeleteOnTermination {
				f.remove(now)
			}
		}
	}
	i.enter(s)
}

// Start boots an instance that was stopped: on another physical host unless its
// configuration names one, with another public address if it gets one assigned and has one
// interface. It has no sockets: see InstanceConfig.OnBoot. What runs may be started again;
// in any other state it fails the test with IncorrectInstanceState, and if its placement
// group has no room, with InsufficientInstanceCapacity.
func (i *Instance) Start() {
	w := i.World()
	w.TB().Helper()
	start := false
	var err error
	w.Do(func(time.Duration) {
		switch i.state {
		case Stopped:
			start = true
		case Stopping, ShuttingDown, Terminated:
			err = refuse(codeInstanceState, "%s is %v, and cannot be started", i.Name(), i.state)
		}
	})
	if err != nil {
		w.TB().Fatalf("%v", err)
	}
	if !start {
		return
	}
	on, err := i.home()
	if err != nil {
		w.TB().Fatalf("%v (%s stays stopped)", err, i.Name())
	}
	i.launch(on)
	i.runPrograms()
}

// Reboot shuts the instance's operating system down and boots it again: where it is, with
// all its addresses, and running all the time as far as the API knows. In any other state
// it fails the test with IncorrectInstanceState.
func (i *Instance) Reboot() {
	w := i.World()
	w.TB().Helper()
	is := Running
	w.Do(func(now time.Duration) {
		if is = i.state; is != Running {
			return
		}
		i.boots++
		i.EndPrograms()
		i.after(now, i.cfg.ShutdownTime, func(now time.Duration) {
			i.PowerOff()
			i.after(now, i.cfg.BootTime, i.booted)
		})
	})
	if is != Running {
		w.TB().Fatalf("%v", refuse(codeInstanceState, "%s is %v, and cannot be rebooted", i.Name(), is))
	}
	i.runProgramsIn(i.cfg.ShutdownTime + i.cfg.BootTime)
}

// adjust changes something of an instance that is not terminated inside the scheduler; of one
// that is, it fails the test with IncorrectInstanceState.
func (i *Instance) adjust(change func()) {
	w := i.World()
	w.TB().Helper()
	var err error
	w.Do(func(time.Duration) {
		if i.state == Terminated {
			err = refuse(codeInstanceState, "%s is terminated", i.Name())
			return
		}
		change()
	})
	if err != nil {
		w.TB().Fatalf("%v", err)
	}
}

// launch puts the instance on a physical host and begins to boot it.
func (i *Instance) launch(on *PhysicalHost) {
	w := i.World()
	w.TB().Helper()
	w.Do(func(now time.Duration) {
		if i.state != Pending {
			i.enter(Pending)
		}
		i.on = on
		i.boots++
		if i.ifaces == nil {
			i.take(i.iface, now)
			i.iface.plugIn()
		} else {
			for _, f := range i.ifaces {
				f.place(on.device)
			}
		}
		i.PowerOff()
		i.after(now, i.cfg.BootTime, i.booted)
	})
	i.assignPublic()
}

// assignPublic gives the instance a public address if it gets one assigned and can have one:
// with a single interface, whose address has none. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-ip-addressing.html
func (i *Instance) assignPublic() {
	w, f := i.World(), i.iface
	w.TB().Helper()
	may := false
	w.Do(func(time.Duration) {
		may = i.cfg.PublicIP == AutoAssignOn && i.on != nil && len(i.ifaces) == 1 && !f.translation(f.addr).public.IsValid()
	})
	if may {
		public := publicIP{private: f.addr, public: AllocatePublicIP(w), auto: true}
		w.Do(func(time.Duration) { f.translate(public) })
		f.vpc.announce()
	}
}

// loseAssigned takes the public address away that was assigned to the interface.
func (f *Interface) loseAssigned() {
	if t := f.translation(f.addr); t.auto {
		f.untranslate(f.addr)
	}
}

// booted is the end of booting.
func (i *Instance) booted(time.Duration) {
	i.PowerOn()
	i.hasRun = true
	i.enter(Running)
}

// enter changes the state and tells who waits for it.
func (i *Instance) enter(s InstanceState) {
	i.state = s
	close(i.changed)
	i.changed = make(chan struct{})
}

// after has the instance do what comes next, at once if it takes no time.
func (i *Instance) after(now, takes time.Duration, next func(now time.Duration)) {
	i.timer.Stop()
	if takes == 0 {
		next(now)
		return
	}
	i.next = next
	i.timer.Set(now + takes)
}

// runPrograms runs what the test has for the instance to run, once it has booted.
func (i *Instance) runPrograms() { i.runProgramsIn(i.cfg.BootTime) }

func (i *Instance) runProgramsIn(d time.Duration) {
	w := i.World()
	if i.cfg.OnBoot == nil {
		return
	}
	if d == 0 {
		i.cfg.OnBoot(i)
		return
	}
	var boot int
	w.Do(func(time.Duration) { boot = i.boots })
	w.Go(func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		current := false
		w.Do(func(time.Duration) { current = i.boots == boot && i.state == Running })
		if current {
			i.cfg.OnBoot(i)
		}
	})
}

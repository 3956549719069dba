package netfake

import (
	"slices"
	"time"
)

// Crash stops the hosts in their tracks, all at one instant, as Host.Crash does one: a rack
// that loses its power. It is one fault, which counts what comes to any of them and the
// ends of connections that die; undoing it, or Restart, boots them.
func (hs Hosts) Crash() *Fault {
	hs.test().Helper()
	return hs.stop("crash of ", crashFault, (*Host).crash, (*Host).boot)
}

// Restart boots those of the hosts that have crashed, however often. Hosts that have
// crashed with them stay down, and those that run are left alone.
func (hs Hosts) Restart() {
	hs.test().Helper()
	hs.repair(func(f *Fault) bool { return f.kind == crashFault })
}

// Pause stops the hosts as Host.Pause does one, all at one instant, and counts what waits
// at any of them. When it is undone they go on, at one instant too.
func (hs Hosts) Pause() *Fault {
	hs.test().Helper()
	return hs.stop("pause of ", pauseFault, (*Host).pause, (*Host).resume)
}

// Resume lets those of the hosts go on that are paused, however often. Hosts that were
// paused with them stay so, and those that run are left alone.
func (hs Hosts) Resume() {
	hs.test().Helper()
	hs.repair(func(f *Fault) bool { return f.kind == pauseFault })
}

// Repair undoes every fault that was made on the hosts or on some of them, the newest
// first: crashes, pauses, partitions, holds. A crash or a pause that others share goes on
// for them. What befalls the traffic between two sets is for Traffic.Repair.
func (hs Hosts) Repair() {
	hs.test().Helper()
	hs.repair(func(*Fault) bool { return true })
}

// stop begins a fault that stops each of the hosts; end is how one of them goes on.
func (hs Hosts) stop(what string, kind kind, begin, end func(h *Host, f *Fault)) *Fault {
	hs.test().Helper()
	w, all := hs.world(), hs.hosts()
	if w == nil {
		return &Fault{what: what + "nobody"}
	}
	f := &Fault{world: w, what: what + hs.String(), on: Traffic{a: hs, both: true}.on(), kind: kind, stopped: all, goOn: end}
	f.end = func(time.Duration) {
		for _, h := range f.stopped {
			end(h, f)
		}
	}
	return f.begin(func(time.Duration) {
		for _, h := range all {
			begin(h, f)
		}
	})
}

// repair undoes the faults of the hosts that match, the newest first.
func (hs Hosts) repair(match func(*Fault) bool) {
	hs.test().Helper()
	t, all := hs.traffic(), hs.hosts()
	if t.world == nil {
		return
	}
	t.world.eachFault(func(f *Fault, now time.Duration) {
		on, ok := f.on.(*Host)
		switch {
		case !match(f):
		case len(f.stopped) > 0:
			f.spare(all, now)
		case ok && slices.Contains(all, on), f.isOf(t):
			f.undo(now)
		}
	})
}

// spare lets some hosts go on that a crash or a pause has stopped. It ends with the last.
func (f *Fault) spare(hosts []*Host, now time.Duration) {
	var spared, rest []*Host
	for _, h := range f.stopped {
		if slices.Contains(hosts, h) {
			spared = append(spared, h)
		} else {
			rest = append(rest, h)
		}
	}
	if len(rest) == 0 {
		f.undo(now)
		return
	}
	f.stopped = rest
	for _, h := range spared {
		f.goOn(h, f)
	}
}

// crash is the beginning of a crash of the host.
func (h *Host) crash(f *Fault) {
	f.hits += uint64(len(h.conns))
	h.crashes = append(h.crashes, f)
	h.shutdown()
}

// boot is the end of a crash of the host, which runs again unless another goes on.
func (h *Host) boot(f *Fault) {
	h.crashes = without(h.crashes, f)
	if !h.closed() && !h.world.closed && h.onRestart != nil {
		h.world.running.Go(h.onRestart)
	}
}

// Crash stops the host in its tracks: no FIN, no RST, nothing is answered. Its
// applications' calls fail with net.ErrClosed, its peers learn by timeout. Undoing the
// crash, or Restart, boots it again, with its interfaces and no sockets, and nothing of what
// it had learned of paths. Who opens its sockets again is OnRestart's business.
func (h *Host) Crash() *Fault { return Hosts{h}.Crash() }

// Restart boots a host that has crashed, however often, by itself or with others: those
// stay down. One that runs is left alone.
func (h *Host) Restart() { Hosts{h}.Restart() }

// OnRestart has f run each time when the host boots after a crash, in a goroutine of its own
// at that instant: it opens the sockets of the host's programs again. Who dials at once waits
// for it with synctest.Wait. Of several the first named runs first. A nil f fails the test. An
// instance of a VPC has InstanceConfig.OnBoot for this.
func (h *Host) OnRestart(f func()) {
	w := h.world
	w.tb.Helper()
	if f == nil {
		w.tb.Fatalf("netfake: host %s: OnRestart of no function", h.name)
	}
	w.lock()
	defer w.unlock()
	if before := h.onRestart; before != nil {
		h.onRestart = func() { before(); f() }
		return
	}
	h.onRestart = f
}

// Repair undoes every fault that was made on the host itself, the newest first: crashes,
// pauses, partitions, holds. What has crashed or paused it with others goes on for them.
// Faults of its uplink are its uplink's.
func (h *Host) Repair() { Hosts{h}.Repair() }

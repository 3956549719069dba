package fabricfake

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

// history is a naive tracker: it remembers every packet and works everything out anew.
type history struct {
	cfg     ConnectionTracking
	packets map[netfake.Flow][]step // by the flow as the interface sends it; after is since the beginning
}

func (h *history) idle(proto netfake.Protocol, packets []step) time.Duration {
	turns, reset, fins := 0, false, map[netfake.Direction]bool{}
	for i, p := range packets {
		if i > 0 && p.dir != packets[i-1].dir {
			turns++
		}
		reset = reset || p.flags&rst != 0
		if p.flags&flagFIN != 0 {
			fins[p.dir] = true
		}
	}
	switch {
	case proto == netfake.UDP && turns >= 3:
		return h.cfg.UDPStream
	case proto == netfake.UDP:
		return h.cfg.UDPSingle
	case proto != netfake.TCP:
		return 600 * time.Second
	case reset:
		return 10 * time.Second
	case len(fins) == 2 || turns < 2:
		return 120 * time.Second
	}
	return h.cfg.TCPEstablished
}

func (h *history) play(dir netfake.Direction, f netfake.Flow, flags uint8, now time.Duration) (found bool) {
	key := f
	if dir == netfake.Ingress {
		key = f.Reverse()
	}
	old, this := h.packets[key], step{after: now, dir: dir, flags: flags}
	isSYN := flags&syn != 0 && flags&(ack|rst) == 0
	if h.alive(f.Proto, old, now) && !(f.Proto == netfake.TCP && h.ended(old) && isSYN) {
		h.packets[key] = append(old, this)
		return true
	}
	if f.Proto != netfake.TCP || isSYN {
		h.packets[key] = []step{this}
	}
	return false
}

// alive reports whether a connection with such packets is remembered.
func (h *history) alive(proto netfake.Protocol, packets []step, now time.Duration) bool {
	return len(packets) > 0 && now < packets[len(packets)-1].after+h.idle(proto, packets)
}

// ended reports whether a TCP connection with such packets has closed or was reset.
func (h *history) ended(packets []step) bool {
	fins, ended := map[netfake.Direction]bool{}, false
	for _, p := range packets {
		fins[p.dir] = fins[p.dir] || p.flags&flagFIN != 0
		ended = ended || p.flags&rst != 0
	}
	return ended || fins[netfake.Egress] && fins[netfake.Ingress]
}

// live counts what has not idled out.
func (h *history) live(now time.Duration) (n int) {
	for f, packets := range h.packets {
		if h.alive(f.Proto, packets, now) {
			n++
		}
	}
	return n
}

// The tracker finds what a full history says that it should, and a probe leaves no
// mark on it.
func TestTrackerAgainstHistory(t *testing.T) {
	cases(t, manyCases, func(t *rapid.T, judged func()) {
		cfg := ConnectionTracking{TCPEstablished: 350 * time.Second, UDPStream: 180 * time.Second, UDPSingle: 30 * time.Second}
		tr, h := newTracker(cfg), &history{cfg, map[netfake.Flow][]step{}}
		tr.sweepAt = 2 // often
		now := time.Duration(0)
		flows := []netfake.Flow{
			flow(netfake.TCP, "10.0.1.5:1000", "10.0.2.9:80"), flow(netfake.UDP, "10.0.1.5:1000", "10.0.2.9:80"),
			flow(netfake.TCP, "10.0.1.6:1000", "10.0.2.9:80"), flow(netfake.ICMP, "10.0.1.5:7", "10.0.2.9:7"),
			flow(netfake.TCP, "[2001:db8::5]:1000", "[2001:db8::9]:80"), flow(netfake.UDP, "[2001:db8::5]:1000", "[2001:db8::9]:80"),
		}
		flows = rapid.Permutation(flows).Draw(t, "flows")
		used := rapid.IntRange(1, 3).Draw(t, "used")
		for range rapid.IntRange(1, 60).Draw(t, "packets") {
			now += time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 9, 10, 29, 30, 60, 119, 120, 179, 180, 349, 350, 600}).Draw(t, "gap")) * time.Second
			f, dir := flows[rapid.IntRange(0, used-1).Draw(t, "flow")], drawDirection.Draw(t, "dir")
			if strange := rapid.IntRange(0, 7).Draw(t, "strange") == 0; strange != (dir == netfake.Ingress) {
				f = f.Reverse()
			}
			flags := uint8(0)
			if f.Proto == netfake.TCP {
				flags = rapid.SampledFrom([]uint8{syn, synAck, ack, ack, finAck, rst, rst | ack}).Draw(t, "flags")
			}
			if rapid.IntRange(0, 3).Draw(t, "probe") == 0 {
				probe(tr, dir, f, flags, now+time.Duration(rapid.IntRange(0, 700).Draw(t, "ahead"))*time.Second)
				continue
			}
			judged()
			if got, want := play(tr, dir, f, flags, now), h.play(dir, f, flags, now); got != want {
				t.Fatalf("%v %v flags %d at %v: found %v, want %v", dir, f, flags, now, got, want)
			}
			if got, want := tr.live(now), h.live(now); got != want {
				t.Fatalf("%d connections live at %v, want %d", got, now, want)
			}
		}
	})
}

// probe sends a packet and the reply to it, and takes both back.
func probe(tr *tracker, dir netfake.Direction, f netfake.Flow, flags uint8, now time.Duration) {
	var undo []func()
	for range 2 {
		if c := tr.lookup(key(dir, f), flags, now); c != nil {
			undo = append(undo, c.save())
			tr.observe(c, dir, flags, now)
		} else if admits(f, flags) {
			undo = append(undo, tr.try(key(dir, f), now))
		}
		dir, f, flags = opposite(dir), f.Reverse(), flags|flagACK
	}
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
}

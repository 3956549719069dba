package netfake

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
)

// Dropped is a packet of an application that did not arrive.
type Dropped struct {
	At   time.Duration // since the world's beginning
	Flow Flow          // as it was where it was dropped
	Hop  Hop
}

// String returns the drop in a line.
func (d Dropped) String() string {
	s := fmt.Sprintf("+%.3fms %v: %s %v: %s", float64(d.At)/1e6, d.Flow, d.Hop.what(), d.Hop.Direction, d.Hop.Rule)
	return strings.Replace(s, " :", ":", 1)
}

// dropLog remembers the last packets that were dropped.
type dropLog struct {
	last  []Dropped // a ring, once it is full
	count uint64
}

// keptDrops is how many packets a dropLog remembers.
const keptDrops = 64

func (l *dropLog) add(p *Packet, h Hop) {
	d := Dropped{At: p.at, Flow: p.Flow, Hop: h}
	for range p.Segments() {
		if len(l.last) < keptDrops {
			l.last = append(l.last, d)
		} else {
			l.last[l.count%keptDrops] = d
		}
		l.count++
	}
}

// Drops returns the last packets that were dropped, at most 64, the oldest first.
func (w *World) Drops() []Dropped {
	w.lock()
	defer w.unlock()
	return w.drops.all()
}

func (l *dropLog) all() []Dropped {
	first := 0
	if len(l.last) == keptDrops {
		first = int(l.count % keptDrops)
	}
	return slices.Concat(l.last[first:], l.last[:first])
}

// Alarm is something that should never happen in a healthy network: a bug, or an
// attack.
type Alarm struct {
	At   time.Duration // since the world's beginning
	By   Component     // who noticed
	What string
}

// String returns the alarm in a line.
func (a Alarm) String() string {
	return fmt.Sprintf("+%.3fms %v: %s", float64(a.At)/1e6, a.By, a.What)
}

// Alarm raises an alarm about p, about each packet if it is a train. It may be called only inside the scheduler; a probe
// raises none.
func (p *Packet) Alarm(by Component, what string) {
	if p.probe != nil {
		return
	}
	for range p.Segments() {
		p.world.alarms = append(p.world.alarms, Alarm{p.at, by, what})
	}
}

// Alarms returns the alarms so far.
func (w *World) Alarms() []Alarm {
	w.lock()
	defer w.unlock()
	return slices.Clone(w.alarms)
}

// Sockets returns a table of the world's sockets, host by host, in the manner of
// netstat.
func (w *World) Sockets() string { return w.sockets(false) }

// sockets returns the table; a brief one leaves out sockets that only wait.
func (w *World) sockets(brief bool) string {
	w.lock()
	defer w.unlock()
	var b strings.Builder
	left := 0
	for _, h := range w.hosts {
		lines := h.socketLines()
		slices.SortFunc(lines, func(a, b socketLine) int { return strings.Compare(a.text, b.text) })
		for _, line := range lines {
			if brief && line.idle {
				left++
				continue
			}
			fmt.Fprintf(&b, "  %s  %s\n", h.name, line.text)
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "  and %d that listen or have nothing to do\n", left)
	}
	return b.String()
}

// socketLine is a line of the table. An idle socket is one that has nothing to do.
type socketLine struct {
	text string
	idle bool
}

func (h *Host) socketLines() []socketLine {
	var lines []socketLine
	for _, l := range h.listeners {
		text := fmt.Sprintf("tcp  LISTEN       %v, %d accepted, %d wait", l.at, l.accepted, len(l.ready))
		lines = append(lines, socketLine{text, len(l.ready) == 0})
	}
	for _, first := range h.conns {
		for c := first; c != nil; c = c.next {
			lines = append(lines, socketLine{c.socketState(), c.machine.State() == tcp.TimeWait})
		}
	}
	for _, u := range h.udp {
		text := fmt.Sprintf("udp               %v, recv-q %d, dropped %d", u.at, u.queued, u.dropped)
		lines = append(lines, socketLine{text, u.queued == 0 && u.dropped == 0})
	}
	return lines
}

// reportFailure logs, when the test has failed, what helps to find out why.
func (w *World) reportFailure() {
	w.tb.Helper()
	if t, ok := w.tb.(interface{ Failed() bool }); !ok || !t.Failed() {
		return
	}
	w.tb.Logf("%s", w.Report())
	if saved := w.saveBlackBox(); saved != "" {
		w.tb.Logf("netfake: %s", saved)
	}
}

// Report returns the state of the world as a failed test logs it: sockets, the last
// packets that were dropped, faults in force, alarms, and how to repeat the run.
func (w *World) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "netfake: the world at +%v\n", w.Now())
	if s := w.sockets(true); s != "" {
		fmt.Fprintf(&b, "sockets:\n%s", s)
	}
	if drops := w.Drops(); len(drops) > 0 {
		fmt.Fprintf(&b, "last packets dropped:\n")
		for _, d := range drops[max(0, len(drops)-10):] {
			fmt.Fprintf(&b, "  %v\n", d)
		}
	}
	w.writeFaults(&b)
	for _, a := range w.Alarms() {
		fmt.Fprintf(&b, "alarm: %v\n", a)
	}
	b.WriteString(w.Replay())
	return b.String()
}

// Replay returns the line that says how to repeat the test's run.
func (w *World) Replay() string {
	parts := strings.Split(w.tb.Name(), "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	pattern := strings.ReplaceAll(strings.Join(parts, "/"), "'", `'\''`) // for a shell
	return fmt.Sprintf("seed %d; replay: NETSPEC_SEED=%d go test -run '%s' -cpu=1 %s",
		w.seed, w.seed, pattern, packageDir())
}

// packageDir returns the test's package relative to its module: tests run in their
// package's directory.
func packageDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for root := dir; root != filepath.Dir(root); root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			rel, _ := filepath.Rel(root, dir)
			if rel == "." {
				return "."
			}
			return "./" + filepath.ToSlash(rel)
		}
	}
	return "."
}

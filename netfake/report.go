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
	switch {
	case left > 0 && b.Len() > 0:
		fmt.Fprintf(&b, "  and %d that listen or have nothing to do\n", left)
	case left > 0:
		fmt.Fprintf(&b, "  %d that listen or have nothing to do\n", left)
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
		if l.accepting > 0 {
			text += " an Accept waits"
		}
		lines = append(lines, socketLine{text, len(l.ready) == 0})
	}
	for _, first := range h.conns {
		for c := first; c != nil; c = c.next {
			lines = append(lines, socketLine{c.socketState(), c.machine.State() == tcp.TimeWait})
		}
	}
	for _, u := range h.udp {
		text := fmt.Sprintf("udp               %v, recv-q %d, dropped %d", u.at, u.queued, u.dropped)
		idle := u.queued == 0 && u.dropped == 0
		if u.readers > 0 {
			text += " a read waits"
			idle = idle && !u.peer.IsValid() // a server's is not news
		}
		lines = append(lines, socketLine{text, idle})
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
	b.WriteString(w.lastHops())
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

package netfake

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Verdict is what a stage decides about a packet. The zero Verdict is Drop.
type Verdict uint8

// The verdicts.
const (
	Drop    Verdict = iota
	Forward         // on to the next stage
	Deliver         // to the application: the way ends here
)

// String returns "DROP", "allow" or "deliver", as a trace prints them.
func (v Verdict) String() string {
	switch v {
	case Forward:
		return "allow"
	case Deliver:
		return "deliver"
	}
	return "DROP"
}

// Direction tells on which side of an interface a stage stands. The zero Direction
// is for stages that have no sides.
type Direction uint8

// The directions, as an interface sees them.
const (
	NoDirection Direction = iota
	Egress
	Ingress
)

// String returns "egress", "ingress" or "".
func (d Direction) String() string {
	switch d {
	case Egress:
		return "egress"
	case Ingress:
		return "ingress"
	}
	return ""
}

// Code explains a drop. Where AWS Reachability Analyzer has an explanation code for
// the cause, it is that code; the zero Code is none.
type Code string

// Component is something that decides about packets: a security group, a network
// ACL, a route table, a gateway, a link, a host. Traces name it by String and
// assertions compare it by identity, so implementations are pointers.
type Component interface {
	String() string
}

// Hop is what one stage did to a packet.
type Hop struct {
	At        time.Duration // since the packet left
	Place     string        // the host, device or edge where the stage stands
	By        Component     // what decided; nil where nothing did
	Direction Direction
	Rule      string      // what decided it: "rule 100", "10.0.0.0/16 → local", a translation
	Verdict   Verdict     //
	Code      Code        // why, for a drop
	Near      string      // for a drop: the rule that came nearest to letting it pass
	Hint      string      // for a drop: what usually mends it
	Others    []Component // for a drop: who might have let it pass as well as By, such as an interface's other groups
	Flow      Flow        // the addresses when the stage was done
}

// Trace is the way of one packet.
type Trace struct {
	Flow    Flow          // as the packet left
	Sent    time.Duration // when it left, since the world's beginning
	Summary string        // what the packet carried: flags, sequence numbers, length
	From    string        // the host that sent it
	To      string        // the host that got it, "" if none did
	Data    int           // bytes that it carried for an application
	Hops    []Hop

	key, seq uint64 // the order of traces that left at one instant
}

// Verdict returns Deliver if the packet reached an application or a host's own
// stack, else Drop.
func (t *Trace) Verdict() Verdict {
	if t.Blocker() == nil && len(t.Hops) > 0 && t.Hops[len(t.Hops)-1].Verdict == Deliver {
		return Deliver
	}
	return Drop
}

// Blocker returns the first hop that dropped the packet, or nil. A probe goes on
// after it to find what else would have blocked; see Blockers.
func (t *Trace) Blocker() *Hop {
	for i := range t.Hops {
		if t.Hops[i].Verdict == Drop {
			return &t.Hops[i]
		}
	}
	return nil
}

// Blockers returns every hop that dropped the packet or, in a probe, would have.
func (t *Trace) Blockers() []Hop {
	var all []Hop
	for _, h := range t.Hops {
		if h.Verdict == Drop {
			all = append(all, h)
		}
	}
	return all
}

// Passed reports whether the packet passed a stage of c before anything dropped it.
func (t *Trace) Passed(c Component) bool {
	for _, h := range t.Hops {
		if h.Verdict == Drop {
			return false
		}
		if h.By == c {
			return true
		}
	}
	return false
}

// Path returns the components that the packet passed, in order, each once in a row.
func (t *Trace) Path() []Component {
	var path []Component
	for _, h := range t.Hops {
		if h.Verdict == Drop {
			break
		}
		if h.By != nil && (len(path) == 0 || path[len(path)-1] != h.By) {
			path = append(path, h.By)
		}
	}
	return path
}

// String returns the verdict line and a line for each hop.
func (t *Trace) String() string {
	return t.Headline() + "\n" + t.HopLines()
}

// Headline returns the verdict in one line.
func (t *Trace) Headline() string {
	head := fmt.Sprintf("%s %v → %s", t.From, t.Flow.Src, t.target())
	if !t.Flow.hasPorts() {
		head = fmt.Sprintf("%s %v → %s", t.From, t.Flow.Src.Addr(), t.target())
	}
	head += " " + t.Flow.Proto.String()
	b := t.Blocker()
	if b == nil {
		if t.Verdict() == Deliver {
			return head + ": delivered"
		}
		return head + ": on its way"
	}
	head += ": BLOCKED at " + b.what()
	if b.Direction != NoDirection {
		head += fmt.Sprintf(" (%v)", b.Direction)
	}
	if b.Code != "" {
		head += ": " + string(b.Code)
	}
	return head
}

func (t *Trace) target() string {
	dst := t.Flow.Dst.String()
	if !t.Flow.hasPorts() {
		dst = t.Flow.Dst.Addr().String()
	}
	if t.To == "" {
		return dst
	}
	return t.To + " " + dst
}

func (h *Hop) what() string {
	if h.By == nil {
		return h.Place
	}
	return h.By.String()
}

// decision is the verdict as a trace prints it: a stage that has no sides, such as a
// route table, refuses or says where to go on, and does not allow.
func (h *Hop) decision() string {
	if h.Verdict == Forward && h.Direction == NoDirection {
		return ""
	}
	return h.Verdict.String()
}

// HopLines returns a line for each hop, in columns: time, place, stage, decision and
// rule. It ends with the hop that dropped the packet, even where a probe went on. What goes
// round in circles at the end is listed once.
func (t *Trace) HopLines() string {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	rounds := roundOf(t.Hops)
	for i, h := range t.Hops {
		switch from := rounds.first + rounds.period; {
		case i > from && i < rounds.end:
			continue
		case i == from && rounds.period > 0:
			fmt.Fprintln(tw, rounds.again())
			continue
		}
		stage := h.what()
		if h.Direction != NoDirection {
			stage += " " + h.Direction.String()
		}
		fmt.Fprintf(tw, "  +%.3fms\t%s\t%s\t%s\t%s\n", float64(h.At)/1e6, h.Place, stage, h.decision(), h.Rule)
		if h.Verdict == Drop {
			break
		}
	}
	tw.Flush()
	return trimLines(b.String())
}

// trimLines takes the blanks off the ends of lines that columns leave behind.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

package netfake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// CheckDeterministic runs f twice, each time in a bubble and a world of its own with
// the seed, and fails the test at the first line in which the traces of the two runs
// differ: when a packet left, its flow and flags, its sequence numbers and length, and
// what every hop decided. A seed of 0 is the seed that Run chooses. A run in which f
// itself fails ends the check.
//
// The traces end when f has returned, its Cleanups have run and everybody waits; what
// closing the world sends is not compared. Neither are the bytes that packets carry,
// only how many.
//
// HTTP/2 over TLS, whose goroutines race for the connection, and TLS with signatures of
// varying length, such as ECDSA's, do not send the same packets twice. Leave such flows
// out with CheckDeterministicFlows, and compare what travels in them message by message.
func CheckDeterministic(t *testing.T, seed uint64, f func(t *testing.T, w *World)) {
	t.Helper()
	CheckDeterministicFlows(t, seed, nil, f)
}

// CheckDeterministicFlows is CheckDeterministic for the packets whose flow, as they
// leave, match accepts; a nil match accepts all. As with World.Record, match must not
// call methods that lock the world.
func CheckDeterministicFlows(t *testing.T, seed uint64, match func(Flow) bool, f func(t *testing.T, w *World)) {
	t.Helper()
	compareRuns(t, func() *tracedRun { return traceRun(t, seed, match, f) })
}

// tracedRun is what can be seen of one run of a scenario.
type tracedRun struct {
	seed  uint64
	lines []string // of all traces, one after the other
	heads []int    // for each line, the line with which its trace begins
}

// traceRun runs f in a world of its own. The Cleanup stands between those of f, which
// run before it, and the one that closes the world.
func traceRun(t *testing.T, seed uint64, match func(Flow) bool, f func(t *testing.T, w *World)) *tracedRun {
	t.Helper()
	run := &tracedRun{}
	RunConfig(t, Config{Seed: seed}, func(t *testing.T, w *World) {
		run.seed = w.Seed()
		rec := w.Record(match)
		t.Cleanup(func() {
			synctest.Wait()
			for _, trace := range rec.Traces() {
				run.add(&trace)
			}
		})
		f(t, w)
	})
	return run
}

// add writes a trace as a line for the packet and one for each hop. Unlike a trace's
// String, it tells when the packet left and what it carried.
func (r *tracedRun) add(t *Trace) {
	head := len(r.lines)
	text := fmt.Sprintf("+%v %s; %s\n%s", t.Sent, t.Headline(), t.Summary, t.HopLines())
	for line := range strings.Lines(text) {
		r.lines = append(r.lines, strings.TrimSuffix(line, "\n"))
		r.heads = append(r.heads, head)
	}
}

// compareRuns fails the test if two runs are not the same, or have nothing to compare.
func compareRuns(tb TB, run func() *tracedRun) {
	tb.Helper()
	first, second := run(), run()
	if len(first.lines) == 0 && len(second.lines) == 0 {
		tb.Fatalf("netfake: the run with seed %d sent no packet that could be compared", first.seed)
	}
	if text := first.differs(second); text != "" {
		tb.Fatalf("netfake: %s", text)
	}
}

// How many lines of traces are shown before the first one that differs, which both runs
// have, and how many of each run from there on.
const (
	linesBefore = 3
	linesAfter  = 4
)

// differs tells where another run goes its own way, "" if it does not.
func (r *tracedRun) differs(other *tracedRun) string {
	at := 0
	for at < len(r.lines) && at < len(other.lines) && sameLine(r.lines[at], other.lines[at]) {
		at++
	}
	if at == len(r.lines) && at == len(other.lines) {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "two runs with seed %d differ at line %d of their traces:\n", r.seed, at+1)
	from := max(0, at-linesBefore)
	if head := r.headOf(other, at); head < from {
		r.write(&b, head, head+1)
		b.WriteString("      ...\n")
	}
	r.write(&b, from, at)
	for i, run := range []*tracedRun{r, other} {
		fmt.Fprintf(&b, "  run %d:\n", i+1)
		run.write(&b, at, at+linesAfter)
		if len(run.lines) < at+linesAfter {
			fmt.Fprintf(&b, "    it ends after %d lines\n", len(run.lines))
		}
	}
	b.WriteString("  hint: the order of a map, a random number that is not of World.Rand, the machine's clock,\n" +
		"  or two goroutines that write to one connection or dial one destination at one instant")
	return b.String()
}

// sameLine compares lines without the width of their columns, which one long cell changes
// for the lines above it too.
func sameLine(a, b string) bool {
	return a == b || slices.Equal(strings.Fields(a), strings.Fields(b))
}

// headOf returns the line with which the trace begins that line at belongs to, in a run
// that has such a line; at itself if it begins one.
func (r *tracedRun) headOf(other *tracedRun, at int) int {
	head := at
	for _, run := range []*tracedRun{r, other} {
		if at < len(run.heads) {
			head = min(head, run.heads[at])
		}
	}
	return head
}

// write writes the lines from one to before another, with their numbers.
func (r *tracedRun) write(b *strings.Builder, from, to int) {
	for i := from; i < min(to, len(r.lines)); i++ {
		fmt.Fprintf(b, "%7d  %s\n", i+1, r.lines[i])
	}
}

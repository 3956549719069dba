package netfake

import (
	"strings"
	"testing"
)

// hopsAt makes hops of the letters of a word; an X drops.
func hopsAt(word string) (hops []Hop) {
	for _, r := range word {
		h := Hop{Place: string(r), Verdict: Forward}
		if r == 'X' {
			h.Verdict = Drop
		}
		hops = append(hops, h)
	}
	return hops
}

// A circle is what a way repeats at least three times at its end, wherever it is entered and
// left; a trace lists it once.
func TestRounds(t *testing.T) {
	for _, row := range []struct{ way, round, listed string }{
		{"", "", ""},
		{"X", "", "X"},
		{"abcX", "", "abcX"},
		{"ababX", "", "ababX"},
		{"abababX", "a → b → a", "ab…X"},
		{"abababababX", "a → b → a", "ab…X"},
		{"xyabababX", "a → b → a", "xyab…X"},
		{"xyabababaX", "a → b → a", "xyab…X"},
		{"bababababX", "b → a → b", "ba…X"},
		{"aaaX", "a", "a…X"},
		{"abcabcabcX", "a → b → c → a", "abc…X"},
		{"abababc", "", "abababc"},
		{"abababcX", "", "abababcX"},
		{"ababab", "a → b → a", "ab…"},
		{"aabaabaabX", "a → b → a", "aab…X"},
	} {
		trace := Trace{Hops: hopsAt(row.way)}
		got := ""
		if c := roundOf(trace.Hops); c.period > 0 {
			got = c.describe(trace.Hops)
		}
		if got != row.round {
			t.Errorf("%s: %q, want %q", row.way, got, row.round)
		}
		listed := ""
		for line := range strings.Lines(trace.HopLines()) {
			if strings.Contains(line, "…") {
				listed += "…"
			} else {
				listed += strings.Fields(line)[1]
			}
		}
		if listed != row.listed {
			t.Errorf("%s: lists %s, want %s", row.way, listed, row.listed)
		}
	}
}

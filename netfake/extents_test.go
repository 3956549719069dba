package netfake

import (
	"testing"

	"pgregory.net/rapid"
)

// stretch is a fragment's place in its datagram.
type stretch struct {
	from, to int
	more     bool
}

// What Linux does with fragments that do not fit, inet_frag_queue_insert and its callers:
// overlaps and contradictions lose the datagram (RFC 5722), and what has come already is
// ignored (errata 3089).
func TestExtents(t *testing.T) {
	for _, row := range []struct {
		rule string
		come []stretch
		want fit // of the last
		done bool
	}{
		{"in order", []stretch{{0, 8, true}, {8, 16, true}, {16, 20, false}}, fits, true},
		{"from behind", []stretch{{16, 20, false}, {8, 16, true}, {0, 8, true}}, fits, true},
		{"something is missing", []stretch{{0, 8, true}, {16, 20, false}}, fits, false},
		{"the end is missing", []stretch{{0, 8, true}, {8, 16, true}}, fits, false},

		{"the same again", []stretch{{0, 16, true}, {0, 16, true}}, duplicate, false},
		{"a part of one", []stretch{{0, 16, true}, {8, 16, true}}, duplicate, false},
		{"a part of two that came in order", []stretch{{0, 16, true}, {16, 32, true}, {8, 24, true}}, duplicate, false},
		{"a part of two that came in disorder", []stretch{{16, 32, true}, {0, 16, true}, {8, 24, true}}, misfit, false},

		{"overlaps the one in front", []stretch{{0, 16, true}, {8, 24, true}}, misfit, false},
		{"overlaps the one behind", []stretch{{8, 24, true}, {0, 16, true}}, misfit, false},
		{"covers one", []stretch{{8, 16, true}, {0, 24, true}}, misfit, false},
		{"overlaps the last", []stretch{{8, 24, false}, {16, 32, true}}, misfit, false},

		{"two ends, the later one first", []stretch{{8, 24, false}, {8, 16, false}}, misfit, false},
		{"two ends", []stretch{{8, 16, false}, {16, 24, false}}, misfit, false},
		{"behind the end", []stretch{{8, 16, false}, {16, 24, true}}, misfit, false},
		{"an end before what has come", []stretch{{8, 16, true}, {0, 8, false}}, misfit, false},
		{"nothing", []stretch{{0, 8, true}, {8, 8, false}}, misfit, false},
	} {
		var e extents
		var got fit
		why := ""
		for i, s := range row.come {
			if got, why = e.add(s.from, s.to, s.more); got != fits && i < len(row.come)-1 {
				t.Errorf("%s: fragment %d: %s", row.rule, i, why)
			}
		}
		if got != row.want || e.complete() != row.done || (got == fits) != (why == "") {
			t.Errorf("%s: got %d, complete %v, %q", row.rule, got, e.complete(), why)
		}
	}
}

// byteMap is extents the naive way: it knows for each byte in which run it came.
type byteMap struct {
	run  map[int]int
	runs int
	end  int
	last bool
}

func (m *byteMap) add(s stretch) fit {
	if s.more && m.last && s.to > m.end || !s.more && (s.to < m.end || m.last && s.to != m.end) || s.from == s.to {
		return misfit
	}
	m.last = m.last || !s.more
	m.end = max(m.end, s.to)
	seen, top := map[int]int{}, 0 // how many bytes of which run; where what has come ends
	for i := s.from; i < s.to; i++ {
		if run, ok := m.run[i]; ok {
			seen[run]++
		}
	}
	for i := range m.run {
		top = max(top, i+1)
	}
	for _, n := range seen {
		if n == s.to-s.from {
			return duplicate
		}
		return misfit
	}
	run, ok := m.run[s.from-1]
	if !ok || s.from != top {
		m.runs++
		run = m.runs
	}
	for i := s.from; i < s.to; i++ {
		m.run[i] = run
	}
	return fits
}

func (m *byteMap) complete() bool { return m.last && len(m.run) == m.end }

// Extents decide as the naive map of bytes does, whatever comes.
func TestExtentsAsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e extents
		m := byteMap{run: map[int]int{}}
		for range rapid.IntRange(1, 12).Draw(t, "fragments") {
			from := 8 * rapid.IntRange(0, 6).Draw(t, "from")
			s := stretch{from, from + 8*rapid.IntRange(0, 3).Draw(t, "length"), rapid.IntRange(0, 3).Draw(t, "last") > 0}
			got, _ := e.add(s.from, s.to, s.more)
			if want := m.add(s); got != want || got != misfit && e.complete() != m.complete() {
				t.Fatalf("%+v: got %d, want %d; complete %v and %v", s, got, want, e.complete(), m.complete())
			}
			if got == misfit || e.complete() {
				return
			}
		}
	})
}

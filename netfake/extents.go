package netfake

import (
	"errors"
	"fmt"
)

// errNested is what is wrong with a datagram that is a fragment of another one.
var errNested = errors.New("a fragment of another datagram")

// extents is which bytes of a datagram have come. What becomes of fragments that do not
// fit follows Linux: since 5.0 the same for both families, RFC 5722 with its errata 3089.
type extents struct {
	runs []extent // sorted; those that came in order are one
	end  int      // where the datagram ends, as far as is known
	last bool     // that is its end
	have int      // bytes
}

// extent is a stretch of bytes.
type extent struct{ from, to int }

// fit is how a fragment fits those that are there. The zero fit is that it does not.
type fit uint8

const (
	misfit    fit = iota // the datagram is lost
	duplicate            // the fragment is of no use
	fits
)

// add takes a fragment, and says why if it does not fit.
func (e *extents) add(from, to int, more bool) (fit, string) {
	switch {
	case !more && (to < e.end || e.last && to != e.end):
		return misfit, fmt.Sprintf("a last fragment that ends at %d, of a datagram of %d bytes or more", to, e.end)
	case more && e.last && to > e.end:
		return misfit, fmt.Sprintf("a fragment that ends at %d, of a datagram of %d bytes", to, e.end)
	case to == from:
		return misfit, "a fragment of nothing"
	}
	e.last = e.last || !more
	e.end = max(e.end, to)
	switch e.place(from, to) {
	case misfit:
		return misfit, fmt.Sprintf("a fragment from %d to %d, which overlaps another", from, to)
	case duplicate:
		return duplicate, fmt.Sprintf("a fragment from %d to %d, which has come already", from, to)
	}
	e.have += to - from
	return fits, ""
}

// place puts a stretch where it belongs. A stretch that lies within a run has come already.
func (e *extents) place(from, to int) fit {
	n := len(e.runs)
	if n > 0 && from == e.runs[n-1].to {
		e.runs[n-1].to = to
		return fits
	}
	at := n
	for at > 0 && to <= e.runs[at-1].from {
		at--
	}
	if at > 0 && from < e.runs[at-1].to {
		if from >= e.runs[at-1].from && to <= e.runs[at-1].to {
			return duplicate
		}
		return misfit
	}
	e.runs = append(e.runs, extent{})
	copy(e.runs[at+1:], e.runs[at:])
	e.runs[at] = extent{from, to}
	return fits
}

// complete reports whether nothing is missing.
func (e *extents) complete() bool { return e.last && e.have == e.end }

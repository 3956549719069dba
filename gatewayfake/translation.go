package gatewayfake

import (
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// translation is one connection.
type translation struct {
	client, answer row // in the tables: what the client sends, and what the replies are
	port           uint16
	last           time.Duration // when a packet last passed
	fins           uint8         // a bit for each direction that has sent FIN
	reset          bool
	sender         uint64 // World.Changes when it was known that the client may send, 0 if never
}

// ended reports whether a TCP connection has closed or was reset.
func (t *translation) ended() bool {
	const both = 1<<netfake.Egress | 1<<netfake.Ingress
	return t.reset || t.fins == both
}

// expired reports whether nobody needs the translation any more.
func (t *translation) expired(now time.Duration) bool {
	idle := NATIdleTimeout
	switch {
	case t.reset:
		idle = natReset
	case t.ended():
		idle = natClosed
	}
	return now-t.last >= idle
}

// table finds translations by a flow of theirs. It is a map that uses the flow's hash, which
// a packet knows, in the place of one of its own. The zero table is empty.
type table struct {
	rows map[uint64]*row
	n    int
}

// row is a translation's place in a table.
type row struct {
	flow netfake.Flow
	hash uint64 // of the flow
	of   *translation
	next *row // another flow with the same hash
}

// find returns the translation of a flow with a hash, nil if there is none.
func (t *table) find(flow netfake.Flow, hash uint64) *translation {
	for r := t.rows[hash]; r != nil; r = r.next {
		if r.flow == flow {
			return r.of
		}
	}
	return nil
}

// add puts in the row of a flow that is not there.
func (t *table) add(r *row) {
	if t.rows == nil {
		t.rows = map[uint64]*row{}
	}
	r.next = t.rows[r.hash]
	t.rows[r.hash] = r
	t.n++
}

// remove takes a row out that is there.
func (t *table) remove(r *row) {
	first := t.rows[r.hash]
	switch {
	case first == r && r.next == nil:
		delete(t.rows, r.hash)
	case first == r:
		t.rows[r.hash] = r.next
	default:
		for first.next != r {
			first = first.next
		}
		first.next = r.next
	}
	t.n--
}

// each gives all translations to f, which may remove the one that it is given.
func (t *table) each(f func(*translation)) {
	for _, r := range t.rows {
		for r != nil {
			next := r.next
			f(r.of)
			r = next
		}
	}
}

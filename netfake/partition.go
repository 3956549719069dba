package netfake

import "time"

// Partition swallows every packet that enters the link, in both directions, without a
// word to the sender. What is on its way already arrives. Partitions add up: the link
// carries again when every one of them is undone.
func (l *Link) Partition() *Fault { return partition(l, &l.forth, &l.back) }

// Partition swallows every packet that enters the way, as Link.Partition does; the other
// direction still carries.
func (y *Way) Partition() *Fault { return partition(y, y) }

func partition(on Component, ways ...*Way) *Fault {
	f := &Fault{world: ways[0].link.world, what: "partition of " + on.String(), on: on}
	f.end = func(time.Duration) {
		for _, y := range ways {
			y.cuts = without(y.cuts, f)
		}
	}
	return f.begin(func(time.Duration) {
		for _, y := range ways {
			y.cuts = append(y.cuts, f)
		}
	})
}

// Package generate has rapid generators of what happens in a world: who talks with
// whom, and what breaks. It is apart from assert so that only property tests compile
// rapid.
//
//	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, property) })
//
//	func property(t *rapid.T) {
//		w := netfake.New(t, netfake.Config{Seed: generate.Seeds().Draw(t, "seed")})
//		...
//		who := generate.Conversations(sources, endpoints).Draw(t, "who")
//		fault := generate.Breaks(links).Draw(t, "break").Apply()
//		...
//	}
package generate

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// Seeds generates seeds of worlds.
func Seeds() *rapid.Generator[uint64] { return rapid.Uint64Range(1, 1<<32) }

// Conversation is somebody who wants to talk with an endpoint.
type Conversation struct {
	From *netfake.Host
	To   netfake.Endpoint
}

// String returns "app → db 10.0.2.9:5432 tcp".
func (c Conversation) String() string { return fmt.Sprintf("%v → %v", c.From, c.To) }

// Conversations generates who talks with whom, of sources and endpoints. It shrinks
// towards the first of both.
func Conversations(from []assert.Source, to []netfake.Endpoint) *rapid.Generator[Conversation] {
	return rapid.Custom(func(t *rapid.T) Conversation {
		return Conversation{
			From: rapid.SampledFrom(from).Draw(t, "from").NetHost(),
			To:   rapid.SampledFrom(to).Draw(t, "to"),
		}
	})
}

// Kind is what a Break does to a link.
type Kind uint8

// The kinds of breaks, the mildest first.
const (
	Nothing   Kind = iota
	Delay          // latency on top
	Loss           // one packet in ten is lost, or fewer: TCP outlasts that
	Partition      // all are
)

// String returns the kind in a word.
func (k Kind) String() string {
	return [...]string{"nothing", "delay", "loss", "partition"}[k%4]
}

// Break is something that happens to a link.
type Break struct {
	Link  *netfake.Link
	Kind  Kind
	Share float64       // of packets that are lost, for Loss
	Delay time.Duration // added, for Delay
}

// String returns what happens, and to what.
func (b Break) String() string {
	switch b.Kind {
	case Delay:
		return fmt.Sprintf("delay of %v on %v", b.Delay, b.Link)
	case Loss:
		return fmt.Sprintf("loss of %.0f%% on %v", b.Share*100, b.Link)
	}
	return fmt.Sprintf("%v on %v", b.Kind, b.Link)
}

// Apply makes it happen, until the fault that it returns is undone. Nothing is a delay of no time.
func (b Break) Apply() *netfake.Fault {
	switch b.Kind {
	case Delay:
		return b.Link.Delay(b.Delay)
	case Loss:
		return b.Link.SetLoss(b.Share)
	case Partition:
		return b.Link.Partition()
	}
	return b.Link.Delay(0)
}

// Breaks generates what happens to links. It shrinks towards nothing, to the first link.
func Breaks(links []*netfake.Link) *rapid.Generator[Break] {
	return rapid.Custom(func(t *rapid.T) Break {
		return Break{
			Link:  rapid.SampledFrom(links).Draw(t, "link"),
			Kind:  Kind(rapid.IntRange(int(Nothing), int(Partition)).Draw(t, "kind")),
			Share: float64(rapid.IntRange(1, 10).Draw(t, "percent")) / 100,
			Delay: time.Duration(rapid.IntRange(1, 500).Draw(t, "milliseconds")) * time.Millisecond,
		}
	})
}

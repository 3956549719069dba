// Package sched is the queue of a world's events: a heap ordered by time, and
// within one instant by class, flow and sequence, so that the order in which
// goroutines pushed never shows.
//
// It has no clock and no lock: the world that owns a queue brings both.
package sched

import "time"

// Class orders the events of one instant: what arrives is seen before what expires.
type Class uint8

// The classes, in the order in which they run.
const (
	Arrival  Class = iota // a packet reaches a node
	Expiry                // a protocol timer goes off
	Deadline              // an application's deadline passes
)

// Task is what an event does when its time has come.
type Task interface {
	Fire(now time.Duration)
}

// Event is one entry of a Queue. The zero Event is not queued. Its fields but Idle may be
// changed only while it is not queued.
type Event struct {
	At    time.Duration // since the world's beginning
	Key   uint64        // the directed flow's number
	Seq   uint64        // the event's number within its flow
	Task  Task
	Class Class

	// Idle is whether the event changes nothing that an application could notice and will
	// come again for ever if it is let: the world may rest while there are no others.
	Idle bool

	slot int32  // 1 + index in the heap; 0 means not queued
	push uint64 // breaks the ties that are left: earlier push first
}

// Queued reports whether the event waits in a queue.
func (e *Event) Queued() bool { return e.slot != 0 }

func (e *Event) before(o *Event) bool {
	switch {
	case e.At != o.At:
		return e.At < o.At
	case e.Class != o.Class:
		return e.Class < o.Class
	case e.Key != o.Key:
		return e.Key < o.Key
	case e.Seq != o.Seq:
		return e.Seq < o.Seq
	}
	return e.push < o.push
}

// Queue is a heap of events. The zero Queue is empty and ready for use. It is not
// safe for concurrent use.
type Queue struct {
	heap   []*Event
	pushes uint64
}

// Len returns the number of queued events.
func (q *Queue) Len() int { return len(q.heap) }

// Head returns the earliest event without removing it, or nil.
func (q *Queue) Head() *Event {
	if len(q.heap) == 0 {
		return nil
	}
	return q.heap[0]
}

// Busy returns the earliest event that is not Idle without removing it, or nil. It looks
// at all of them.
func (q *Queue) Busy() *Event {
	var first *Event
	for _, e := range q.heap {
		if !e.Idle && (first == nil || e.before(first)) {
			first = e
		}
	}
	return first
}

// Push queues e. An event that is queued already is moved to its new place.
func (q *Queue) Push(e *Event) {
	q.Remove(e)
	q.pushes++
	e.push = q.pushes
	q.heap = append(q.heap, e)
	q.up(len(q.heap) - 1)
}

// Move queues e for a time, where it may be queued for another.
func (q *Queue) Move(e *Event, at time.Duration) {
	if e.slot == 0 {
		e.At = at
		q.Push(e)
		return
	}
	q.pushes++
	e.At, e.push = at, q.pushes
	if i := int(e.slot) - 1; !q.down(i) {
		q.up(i)
	}
}

// Pop removes and returns the earliest event if it is due at now, else nil.
func (q *Queue) Pop(now time.Duration) *Event {
	e := q.Head()
	if e == nil || e.At > now {
		return nil
	}
	q.Remove(e)
	return e
}

// Remove takes e out of the queue; one that is not queued is left alone.
func (q *Queue) Remove(e *Event) {
	if e.slot == 0 {
		return
	}
	i, last := int(e.slot)-1, len(q.heap)-1
	if i != last {
		q.set(i, q.heap[last])
	}
	q.heap[last] = nil
	q.heap = q.heap[:last]
	e.slot = 0
	if i < last && !q.down(i) {
		q.up(i)
	}
}

func (q *Queue) set(i int, e *Event) {
	q.heap[i] = e
	e.slot = int32(i + 1)
}

func (q *Queue) up(i int) {
	e := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(q.heap[parent]) {
			break
		}
		q.set(i, q.heap[parent])
		i = parent
	}
	q.set(i, e)
}

// down sinks the event at i and reports whether it moved.
func (q *Queue) down(i int) bool {
	e, start := q.heap[i], i
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			break
		}
		if right := child + 1; right < len(q.heap) && q.heap[right].before(q.heap[child]) {
			child = right
		}
		if !q.heap[child].before(e) {
			break
		}
		q.set(i, q.heap[child])
		i = child
	}
	q.set(i, e)
	return i > start
}

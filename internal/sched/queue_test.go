package sched

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is pushed, moved and removed, events leave in the order of a plain sort.
func TestQueueAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue
		var live []*Event
		for range rapid.IntRange(0, 60).Draw(t, "operations") {
			kind := rapid.IntRange(0, 4).Draw(t, "kind")
			if len(live) > 0 && kind == 0 {
				q.Move(live[rapid.IntRange(0, len(live)-1).Draw(t, "which")], time.Duration(rapid.IntRange(0, 3).Draw(t, "at")))
				continue
			}
			if len(live) > 0 && kind == 1 {
				i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				q.Remove(live[i])
				if live[i].Queued() {
					t.Fatal("a removed event says it is queued")
				}
				live = slices.Delete(live, i, i+1)
				continue
			}
			e := &Event{
				At:    time.Duration(rapid.IntRange(0, 3).Draw(t, "at")),
				Class: Class(rapid.IntRange(0, 2).Draw(t, "class")),
				Key:   rapid.Uint64Range(0, 3).Draw(t, "key"),
				Seq:   rapid.Uint64Range(0, 3).Draw(t, "seq"),
			}
			if kind == 2 {
				q.Move(e, e.At)
			} else {
				q.Push(e)
			}
			live = append(live, e)
		}
		slices.SortFunc(live, func(a, b *Event) int {
			if a.before(b) {
				return -1
			}
			return 1
		})
		for i, want := range live {
			if got := q.Pop(3); got != want {
				t.Fatalf("event %d: got %+v, want %+v", i, got, want)
			}
		}
		if q.Len() != 0 || q.Pop(3) != nil {
			t.Fatalf("%d events left over", q.Len())
		}
	})
}

// The order in which goroutines push is not the order in which events run.
func TestQueueOrderWithinAnInstant(t *testing.T) {
	deadline := &Event{At: 5, Class: Deadline}
	expiry := &Event{At: 5, Class: Expiry}
	flow2 := &Event{At: 5, Key: 2, Seq: 1}
	flow1second := &Event{At: 5, Key: 1, Seq: 2}
	flow1first := &Event{At: 5, Key: 1, Seq: 1}
	var q Queue
	for _, e := range []*Event{deadline, flow2, expiry, flow1second, flow1first} {
		q.Push(e)
	}
	for i, want := range []*Event{flow1first, flow1second, flow2, expiry, deadline} {
		if got := q.Pop(5); got != want {
			t.Errorf("place %d: got %+v, want %+v", i, got, want)
		}
	}
}

func TestPopWaitsForItsTime(t *testing.T) {
	var q Queue
	e := &Event{At: 7}
	q.Push(e)
	if got := q.Pop(6); got != nil {
		t.Errorf("popped %+v before its time", got)
	}
	if got := q.Pop(7); got != e {
		t.Errorf("at its time: got %+v, want the event", got)
	}
}

// Busy is the first event that is not idle, wherever idle ones are.
func TestBusy(t *testing.T) {
	var q Queue
	for i, idle := range []bool{true, true, false, true, false} {
		q.Push(&Event{At: time.Duration(i), Idle: idle})
	}
	if e := q.Busy(); e == nil || e.At != 2 || q.Len() != 5 {
		t.Errorf("the first busy event of %d is %+v", q.Len(), e)
	}
	for q.Busy() != nil {
		q.Remove(q.Busy())
	}
	if q.Len() != 3 || q.Head().At != 0 {
		t.Errorf("%d idle ones are left", q.Len())
	}
}

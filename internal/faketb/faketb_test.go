package faketb

import (
	"slices"
	"testing"
)

// A fatal failure ends what fails, and nothing else; others let it go on.
func TestTry(t *testing.T) {
	tb := New(t)
	reached := false
	if got := tb.Try(func() { tb.Fatalf("no %s", "disk"); reached = true }); got != "no disk" || reached {
		t.Errorf("got %q, went on %v", got, reached)
	}
	if got := tb.Try(func() { tb.Errorf("odd"); reached = true }); got != "odd" || !reached {
		t.Errorf("got %q, went on %v", got, reached)
	}
	if got := tb.Try(func() {}); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	if got := tb.Failures(); !tb.Failed() || !slices.Equal(got, []string{"no disk", "odd"}) {
		t.Errorf("all: %q", got)
	}
}

// Logs and cleanups stay with the test that fails; each cleanup runs once, the last first.
func TestClean(t *testing.T) {
	var order []int
	var fake *TB
	text := Fatal(t, func(tb *TB) {
		fake = tb
		tb.Cleanup(func() { order = append(order, 1) })
		tb.Cleanup(func() { order = append(order, 2); tb.Logf("cleaned") })
		tb.Fatalf("ends")
	})
	fake.Clean()
	if text != "ends" || !slices.Equal(order, []int{2, 1}) || !slices.Equal(fake.Logs(), []string{"cleaned"}) {
		t.Errorf("%q, %d, %q", text, order, fake.Logs())
	}
}

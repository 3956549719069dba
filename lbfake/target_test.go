package lbfake

import (
	"testing"

	"pgregory.net/rapid"
)

func TestChoose(t *testing.T) {
	for _, row := range []struct {
		rule   string
		states []State
		turn   uint64
		want   int
		why    routing
	}{
		// Healthy targets take turns, in the order of their registration.
		{"first turn", []State{Healthy, Healthy, Healthy}, 0, 0, toHealthy},
		{"third turn", []State{Healthy, Healthy, Healthy}, 2, 2, toHealthy},
		{"round again", []State{Healthy, Healthy, Healthy}, 3, 0, toHealthy},
		// All others are passed over as long as one is healthy.
		{"unhealthy", []State{Unhealthy, Healthy, Unhealthy}, 0, 1, toHealthy},
		{"new", []State{Initial, Healthy}, 0, 1, toHealthy},
		{"draining", []State{Draining, Healthy}, 1, 1, toHealthy},
		{"zone not enabled", []State{Unused, Healthy}, 1, 1, toHealthy},
		// Fail open: only unhealthy targets serve all.
		{"all unhealthy", []State{Unhealthy, Unhealthy}, 1, 1, failOpen},
		{"unhealthy and new", []State{Initial, Unhealthy}, 0, 1, failOpen},
		{"unhealthy and draining", []State{Draining, Unhealthy}, 0, 1, failOpen},
		// Otherwise nobody does.
		{"empty", nil, 0, 0, noTargets},
		{"all unused", []State{Unused, Unused}, 0, 0, allUnused},
		{"all new", []State{Initial, Initial}, 0, 0, noneReady},
		{"new and unused", []State{Initial, Unused}, 0, 0, noneReady},
	} {
		got, why := choose(row.states, row.turn)
		if got != row.want || why != row.why {
			t.Errorf("%s: choose(%v, %d) = %d, %v, want %d, %v", row.rule, row.states, row.turn, got, why, row.want, row.why)
		}
	}
}

// As many turns as there are eligible targets, from whatever turn, reach each of them
// once.
func TestChooseIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := rapid.SliceOfN(rapid.Map(rapid.IntRange(int(Unused), int(Draining)), func(i int) State { return State(i) }), 1, 8).Draw(t, "states")
		first := rapid.Uint64Range(0, 100).Draw(t, "first turn")
		best := Unused
		for _, s := range states {
			if s == Healthy || s == Unhealthy && best != Healthy {
				best = s
			}
		}
		want := 0
		for _, s := range states {
			if best != Unused && s == best {
				want++
			}
		}
		seen := map[int]bool{}
		for turn := first; turn < first+uint64(want); turn++ {
			i, why := choose(states, turn)
			if !why.found() || states[i] != best {
				t.Fatalf("turn %d chose %d, %v of %v", turn, i, why, states)
			}
			seen[i] = true
		}
		if _, why := choose(states, first); len(seen) != want || why.found() != (want > 0) {
			t.Errorf("%d turns reached %d targets of %v", want, len(seen), states)
		}
	})
}

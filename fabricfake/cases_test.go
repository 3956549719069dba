package fabricfake

import (
	"testing"

	"pgregory.net/rapid"
)

// manyCases is how many cases an oracle is asked about in every run of the tests.
const manyCases = 10_000

// cases checks a property again and again until it has judged so many cases, each of which
// it tells by calling judged. A property judges many cases of one draw, as drawing costs
// more than judging.
func cases(t *testing.T, n int, property func(t *rapid.T, judged func())) {
	t.Helper()
	for done := 0; done < n; {
		before := done
		rapid.Check(t, func(t *rapid.T) { property(t, func() { done++ }) })
		if done == before {
			t.Fatal("the property judges nothing")
		}
	}
}

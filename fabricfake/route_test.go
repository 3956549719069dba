package fabricfake

import (
	"strings"
	"testing"
)

// aTarget is a Target for tests.
type aTarget struct {
	name string
	gone bool
}

func (t *aTarget) String() string   { return t.name }
func (t *aTarget) Attached() bool   { return !t.gone }
func (t *aTarget) NextHop() NextHop { return NextHop{} }

// fact: rtb.origin
func TestRouteTexts(t *testing.T) {
	var got []string
	for o := OriginStatic; o <= OriginVPN; o++ {
		got = append(got, o.String())
	}
	const want = "CreateRoute CreateRouteTable CreateRoute EnableVgwRoutePropagation EnableVgwRoutePropagation EnableVgwRoutePropagation"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("origins: %s", s)
	}
	if Active.String() != "active" || RouteState(0).String() != "blackhole" {
		t.Errorf("states: %v, %v", Active, RouteState(0))
	}
}

package fabricfake

import (
	"errors"
	"fmt"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

func TestAPIErrorText(t *testing.T) {
	err := refuse(codeSubnetConflict, "%s overlaps", "10.0.0.0/24")
	if want := "fabricfake: InvalidSubnet.Conflict: 10.0.0.0/24 overlaps"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// codeOf returns the API code of an error, "" for nil.
func codeOf(err error) string {
	var api *APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.Code
	}
	return "not an APIError: " + err.Error()
}

func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := codeOf(err); got != want {
		t.Errorf("%s: got code %q (%v), want %q", what, got, err, want)
	}
}

// refusals is a test that notes its fatal failures and goes on.
type refusals struct {
	netfake.TB
	fatal []string
}

func (r *refusals) Fatalf(format string, args ...any) {
	r.fatal = append(r.fatal, fmt.Sprintf(format, args...))
}

// wantFatal checks that the test has failed once since the last call, with text, or
// for "" not at all.
func (r *refusals) wantFatal(t *testing.T, text string) {
	t.Helper()
	got := ""
	if len(r.fatal) > 0 {
		got = r.fatal[0]
	}
	if got != text || len(r.fatal) > 1 {
		t.Errorf("the test failed with %q, want %q", r.fatal, text)
	}
	r.fatal = nil
}

// refusingWorld returns a world whose test can be refused something.
func refusingWorld(t *testing.T) (*netfake.World, *refusals) {
	tb := &refusals{TB: t}
	return netfake.New(tb, netfake.Config{Seed: 1}), tb
}

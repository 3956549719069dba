package dnsfake

import (
	"errors"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

func TestDig(t *testing.T) { instant(t, testDig) }

// Dig tells every section apart, and a server that says nothing from one that says no.
func testDig(t *testing.T, w *netfake.World, sys *System) {
	zone, client, _ := shop(w, sys)
	got := dig(t, client, zone.NameServers()[2].Addr, "www.example.com", A)
	if got.String() != "NOERROR\nwww.example.com. 60 IN A 192.0.2.1" || len(got.Authority) != 4 || !got.Authoritative || got.Truncated {
		t.Errorf("%v\n%s", got, lines(got.Authority))
	}
	if _, err := Dig(t.Context(), client, addr("192.0.2.250"), "www.example.com", A); !isTimeout(err) {
		t.Errorf("nobody is there, and the error is %v", err)
	}
	wantAt(t, w, ExchangeTimeout)
	web := w.Internet().Host("web", "192.0.2.251")
	_, err := Dig(t.Context(), client, web.Addr(), "www.example.com", A)
	if err == nil || isTimeout(err) || !strings.Contains(err.Error(), "dnsfake: dig @192.0.2.251 www.example.com A: ") {
		t.Errorf("the port is closed, and the error is %v", err)
	}
	wantAt(t, w, ExchangeTimeout)
	var refused *apiError
	if _, err := Dig(t.Context(), client, web.Addr(), "a..b", A); !errors.As(err, &refused) {
		t.Errorf("the name is malformed, and the error is %v", err)
	}
}

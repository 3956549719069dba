package assert_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// A fault has bitten once a packet has met it, and not before; who asks too early is told
// what the fault was. Faults work on instances and on the substrate below them.
func TestBit(t *testing.T) {
	for _, row := range []struct {
		name  string
		begin func(s *shop) *netfake.Fault
		hits  uint64 // of the application's three SYNs to the database within 5 s, or of the four answers
		text  string
	}{
		{"sets of hosts", func(s *shop) *netfake.Fault {
			return s.app.World().Partition(netfake.Hosts{s.app}, netfake.Hosts{s.db, s.site})
		}, 3, "partition of app ↔ db, site"},
		{"an instance", func(s *shop) *netfake.Fault { return s.db.Partition() }, 3, "partition of db ↔ everybody"},
		{"what it sends", func(s *shop) *netfake.Fault { return s.app.World().Toward(netfake.Hosts{s.db}, nil).Hold() }, 4, "hold on db → everybody"},
		{"the substrate", func(s *shop) *netfake.Fault { return s.vpc.Region().Link("b", "a").Partition() }, 3,
			"partition of ap-southeast-2 substrate a–b"},
		{"the substrate, there", func(s *shop) *netfake.Fault { return s.vpc.Region().Way("a", "b").Hold() }, 3,
			"hold on ap-southeast-2 substrate a–b forth"},
		{"the substrate, back", func(s *shop) *netfake.Fault { return s.vpc.Region().Way("b", "a").SetLoss(1) }, 4,
			"loss of 1 on ap-southeast-2 substrate a–b back"},
		{"the physical host", func(s *shop) *netfake.Fault { return s.db.Interface().PhysicalHost().Fail() }, 3, "failure of host of db"},
		{"a crash", func(s *shop) *netfake.Fault { return s.db.Crash() }, 3, "crash of db"},
		{"a pause", func(s *shop) *netfake.Fault { return s.db.Pause() }, 3, "pause of db"},
		{"a crash of a set", func(s *shop) *netfake.Fault { return netfake.Hosts{s.site, s.db}.Crash() }, 3, "crash of site, db"},
		{"a pause of a set", func(s *shop) *netfake.Fault { return netfake.Hosts{s.site, s.db}.Pause() }, 3, "pause of site, db"},
		{"a partition of a set", func(s *shop) *netfake.Fault { return netfake.Hosts{s.site, s.db}.Partition() }, 3, "partition of site, db ↔ everybody"},
		{"a hold of a set", func(s *shop) *netfake.Fault { return netfake.Hosts{s.site, s.db}.Hold() }, 3, "hold on site, db ↔ everybody"},
		{"another zone", func(s *shop) *netfake.Fault { return s.vpc.Region().Link("b", "c").Partition() }, 0,
			"partition of ap-southeast-2 substrate b–c"},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				s := build(t, w)
				fault := row.begin(s)
				want := row.text + " hit nothing, so the test proves nothing about it"
				if got := bit(t, fault); got != want {
					t.Errorf("before any packet: %q, want %q", got, want)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err := s.app.DialContext(ctx, "tcp", "10.0.2.9:5432")
				if row.hits == 0 {
					if err != nil || bit(t, fault) != want {
						t.Errorf("%v is not in the way: %v, %q", fault, err, bit(t, fault))
					}
					return
				}
				if err == nil || fault.Hits() != row.hits || bit(t, fault) != "" {
					t.Errorf("the dial: %v; %d hits, want %d; %q", err, fault.Hits(), row.hits, bit(t, fault))
				}
				fault.Undo()
				w.Sleep(time.Millisecond)
				if r := s.app.Probe(s.db.TCP(5432)); (r.Outcome == netfake.Answered) == strings.HasPrefix(row.text, "crash") {
					t.Errorf("undone:\n%v", r)
				}
			})
		})
	}
}

// A link has bitten if anything befell a packet on it.
func TestLinkBit(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := build(t, w)
		link := s.site.Uplink().Link()
		if got := bit(t, link); got != "no fault of site last mile hit a packet, so the test proves nothing about what it breaks" {
			t.Errorf("got %q", got)
		}
		link.Delay(time.Millisecond)
		s.app.Dial("tcp", "203.0.113.80:443")
		if got := bit(t, link); got != "" {
			t.Errorf("a packet was delayed: %q", got)
		}
	})
}

// bit returns what Bit fails with, "" if it does not.
func bit(t *testing.T, f assert.Fault) string {
	tb := faketb.New(t)
	assert.Bit(tb, f)
	return strings.Join(tb.Failures(), "\n")
}

// A partition of hosts finds its packets whatever became of their addresses: here an
// internet gateway changes them in both directions.
func TestBitThroughTranslation(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		s := build(t, w)
		dial := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := s.app.DialContext(ctx, "tcp", "203.0.113.80:443")
			return err
		}
		for _, traffic := range []netfake.Traffic{
			w.Toward(netfake.Hosts{s.app}, netfake.Hosts{s.site}), w.Toward(netfake.Hosts{s.site}, netfake.Hosts{s.app}),
		} {
			fault := traffic.Partition()
			assert.Unreachable(t, s.app, s.site.TCP(443), assert.BlockedBy(fault))
			if err := dial(); err == nil {
				t.Errorf("%v lets a connection through", fault)
			}
			assert.Bit(t, fault)
			fault.Undo()
			if err := dial(); err != nil {
				t.Errorf("%v is undone: %v", fault, err)
			}
		}
	})
}

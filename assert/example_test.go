package assert_test

import (
	"errors"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// What a reader expects of a small network, stated.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	s := build(t, w)
	assert.Reachable(t, s.app, s.db.TCP(5432), assert.Through(s.appSG, s.dataACL, s.dbSG))
	assert.Unreachable(t, s.site, s.db.TCP(5432), assert.BlockedBy(w.Internet()))

	// The database's host fails for almost a minute; the next look finds it back.
	failure := s.db.Interface().PhysicalHost().Fail()
	assert.Unreachable(t, s.app, s.db.TCP(5432), assert.BlockedBy(s.db.Interface().PhysicalHost()))
	go func() {
		w.Sleep(time.Minute - assert.Poll/2)
		failure.Undo()
	}()
	took := assert.Eventually(t, 2*time.Minute, func() error {
		if r := s.app.Probe(s.db.TCP(5432)); r.Outcome != netfake.Answered {
			return errors.New(r.String())
		}
		return nil
	})
	assert.Equal(t, took, time.Minute)
}

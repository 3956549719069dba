package netfake

import (
	"os"
	"sync"
	"testing"
	"time"
)

// pingEvery is how often each of a thousand hosts pings its neighbour.
const pingEvery = 10 * time.Second

// A thousand hosts ping their neighbours, and every ping is answered in exactly its time:
// for five minutes of virtual time, or for a day, 8.64 million pings, where NETSPEC_DAY is
// set. How fast that went is logged; a benchmark cannot run in virtual time.
func TestDayOfPings(t *testing.T) {
	day := 5 * time.Minute
	if os.Getenv("NETSPEC_DAY") != "" {
		day = 24 * time.Hour
	}
	for _, row := range []struct {
		name  string
		apart time.Duration // one host's pings from the next one's
	}{
		{"at one instant", 0},
		{"each at an instant of its own", pingEvery / 1000},
	} {
		t.Run(row.name, func(t *testing.T) {
			began := time.Now()
			var events uint64
			Run(t, func(t *testing.T, w *World) {
				pingNeighbours(t, w, row.apart, day)
				events = w.Events()
			})
			took := time.Since(began).Seconds()
			pings := 1000 * int(day/pingEvery)
			t.Logf("%d pings, %d events in %.2f s: %.2f µs a ping, %.0f events/s, %.0f times real time",
				pings, events, took, took*1e6/float64(pings), float64(events)/took, day.Seconds()/took)
		})
	}
}

func pingNeighbours(t *testing.T, w *World, apart, day time.Duration) {
	hosts := make([]*Host, 1000)
	for i := range hosts {
		hosts[i] = hostNumber(w, i)
	}
	const there = 4 * LastMile // and back
	var group sync.WaitGroup
	for i, h := range hosts {
		neighbour := hosts[(i+1)%len(hosts)].Addr()
		group.Go(func() {
			time.Sleep(time.Duration(i) * apart)
			for range day / pingEvery {
				if rtt, err := h.Ping(t.Context(), neighbour); err != nil || rtt != there {
					t.Errorf("host %d: %v, %v", i, rtt, err)
					return
				}
				time.Sleep(pingEvery - there)
			}
		})
	}
	group.Wait()
	if want := day + time.Duration(len(hosts)-1)*apart; w.Now() != want {
		t.Errorf("it took %v of virtual time, want %v", w.Now(), want)
	}
}

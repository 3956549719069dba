package netfake

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// Twenty clients over a lossy link give one trace, run after run and on however many
// processors: 67 times each, or as often as NETSPEC_RUNS says.
func TestOneTrace(t *testing.T) {
	runs := 67
	if testing.Short() {
		runs = 10
	}
	if env := os.Getenv("NETSPEC_RUNS"); env != "" {
		var err error
		if runs, err = strconv.Atoi(env); err != nil {
			t.Fatal(err)
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first *tracedRun
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		began := time.Now()
		for i := range runs {
			run := traceRun(t, 1, nil, twentyClients)
			if first == nil {
				first = run
			}
			if text := first.differs(run); text != "" {
				t.Fatalf("%d processors, run %d: %s", processors, i, text)
			}
		}
		t.Logf("%d processors: %d runs of %d lines in %v", processors, runs, len(first.lines), time.Since(began))
	}
	if len(first.lines) < 1000 {
		t.Errorf("a trace of %d lines", len(first.lines))
	}
}

package fabricfake_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A large VPC: as many subnets as it may have, with 50 instances each.
const (
	largeSubnets   = 200
	largePerSubnet = 50
)

func buildLarge(w *netfake.World) (last *fabricfake.Instance) {
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	web := fabricfake.Groups{vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)}
	for i := range largeSubnets {
		s := vpc.Subnet(fmt.Sprint("s", i), fmt.Sprintf("10.0.%d.0/24", i), []string{"a", "b", "c"}[i%3])
		for n := range largePerSubnet {
			last = s.Instance(fmt.Sprintf("i%d-%d", i, n), fabricfake.InstanceConfig{Groups: web})
		}
	}
	return last
}

// Ten thousand instances cost at most 6 KiB and 40 allocations each. Half of that is usual.
func TestBuildLarge(t *testing.T) {
	const most, mostObjects = 6 << 10, 40
	var before, after runtime.MemStats
	w := netfake.New(t, netfake.Config{Instant: true})
	runtime.GC()
	runtime.ReadMemStats(&before)
	last := buildLarge(w)
	runtime.GC()
	runtime.ReadMemStats(&after)
	const n = largeSubnets * largePerSubnet
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > most {
		t.Errorf("an instance takes %d bytes, and %d are allowed", each, most)
	}
	if each := (after.Mallocs - before.Mallocs) / n; each > mostObjects {
		t.Errorf("an instance takes %d allocations, and %d are allowed", each, mostObjects)
	}
	if got := last.Addr().String(); got != "10.0.199.53" {
		t.Errorf("the last instance is at %s", got)
	}
}

// BenchmarkBuild is ten thousand instances in 200 subnets: a third of a second where it was
// written.
func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		w := netfake.New(b, netfake.Config{Instant: true})
		buildLarge(w)
		w.Close()
	}
}

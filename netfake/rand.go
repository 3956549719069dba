package netfake

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
)

// mix folds v into h; a 64-bit finaliser in the manner of splitmix64.
func mix(h, v uint64) uint64 {
	h ^= v
	h += 0x9e3779b97f4a7c15
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9
	h = (h ^ (h >> 27)) * 0x94d049bb133111eb
	return h ^ (h >> 31)
}

func hashString(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// draw returns a number in [0,1) that depends on the world's seed, the purpose and
// the keys, and on nothing else: no other draw moves it.
func (w *World) draw(purpose, key, seq uint64) float64 {
	return float64(mix(mix(mix(w.seed, purpose), key), seq)>>11) / (1 << 53)
}

// Rand returns a generator for one purpose that depends on the world's seed and the
// purpose's name alone. Two calls with one name give two generators that draw the
// same numbers.
func (w *World) Rand(purpose string) *rand.Rand {
	h := mix(w.seed, hashString(purpose))
	return rand.New(rand.NewPCG(h, mix(h, 1)))
}

// chooseSeed returns the seed of a test's world: what the test says, else what the environment
// does, else what follows from the test's name.
func chooseSeed(tb TB, cfg Config) uint64 {
	tb.Helper()
	if cfg.Seed != 0 {
		return cfg.Seed
	}
	if env := os.Getenv("NETSPEC_SEED"); env != "" {
		seed, err := strconv.ParseUint(env, 10, 64)
		if err != nil {
			tb.Fatalf("netfake: NETSPEC_SEED=%s: not a number", env)
		}
		return seed
	}
	return hashString(tb.Name()) >> 32
}

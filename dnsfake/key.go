package dnsfake

import (
	"encoding/binary"
	"hash/fnv"
)

// mix folds v into h; the finaliser of splitmix64.
func mix(h, v uint64) uint64 {
	h ^= v
	h += 0x9e3779b97f4a7c15
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9
	h = (h ^ (h >> 27)) * 0x94d049bb133111eb
	return h ^ (h >> 31)
}

// keyed returns a number that depends on the seed and the words, and on nothing else:
// what the package would otherwise draw at random.
func keyed(seed uint64, words ...string) uint64 {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	for _, word := range words {
		h.Write([]byte(word))
		h.Write([]byte{0})
	}
	return mix(h.Sum64(), uint64(len(words)))
}

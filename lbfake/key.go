package lbfake

import (
	"encoding/binary"
	"hash/fnv"
)

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
	v := h.Sum64() // finished as splitmix64 does, for FNV's low bits are weak
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9
	v = (v ^ (v >> 27)) * 0x94d049bb133111eb
	return v ^ (v >> 31)
}

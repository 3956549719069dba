package netfake

// luck is what the draws of a packet at a way are keyed by, besides its number: its flow, as
// long as it crosses the link for the first time and is no copy. When it comes again, as on a
// substrate that it crosses to a gateway and from there, and as a copy of another, it has
// luck of its own.
func (y *Way) luck(p *Packet) uint64 {
	key := p.event.Key
	for _, mark := range p.past {
		if mark == y.link.id || mark <= lastCopy {
			key = mix(key, mark)
		}
	}
	return key
}

// lastCopy is the largest mark of a copy. Those of links are hashes, and larger.
const lastCopy = 1<<8 - 1

// crossed marks a packet that has met a link which draws.
func (y *Way) crossed(p *Packet) { p.past = append(p.past, y.link.id) }

// isCopy marks a packet as the latest copy of another.
func (p *Packet) isCopy(of *Packet) {
	of.copies++
	p.past = append(append(p.past, of.past...), uint64(of.copies))
}

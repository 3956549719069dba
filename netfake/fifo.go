package netfake

// fifo holds the packets that move on without delay.
type fifo struct {
	items []*Packet
	head  int
}

func (f *fifo) push(p *Packet) { f.items = append(f.items, p) }

func (f *fifo) pop() *Packet {
	if f.head == len(f.items) {
		return nil
	}
	p := f.items[f.head]
	f.items[f.head] = nil
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return p
}

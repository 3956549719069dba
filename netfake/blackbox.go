package netfake

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// blackBoxSize is how many bytes of packets a world remembers for the case that its test
// fails.
const blackBoxSize = 8 << 20

// blackBox remembers the last packets that passed the world's taps. A world has one only
// if its test is to leave artifacts behind (go test -artifacts): nobody else pays for it.
type blackBox struct {
	dir     func() string
	packets []captured // from first on, the oldest first
	first   int
	bytes   int
}

// newBlackBox returns a test's black box, nil if nobody wants its artifacts: without the flag
// the testing package removes them.
func newBlackBox(tb TB) *blackBox {
	t, ok := tb.(interface{ ArtifactDir() string })
	if f := flag.Lookup("test.artifacts"); !ok || f == nil || f.Value.String() != "true" {
		return nil
	}
	return &blackBox{dir: t.ArtifactDir}
}

func (b *blackBox) add(seen captured) {
	b.packets = append(b.packets, seen)
	b.bytes += len(seen.data)
	for b.bytes > blackBoxSize {
		b.bytes -= len(b.packets[b.first].data)
		b.packets[b.first] = captured{}
		b.first++
	}
	if b.first > 1024 && b.first > len(b.packets)/2 {
		b.packets = append([]captured(nil), b.packets[b.first:]...)
		b.first = 0
	}
}

// saveBlackBox writes what the box remembers into the test's directory of artifacts, and says
// where; "" if there is no box or it is empty.
func (w *World) saveBlackBox() string {
	if w.box == nil {
		return ""
	}
	w.lock()
	c := w.newCapture(nil, nil)
	for _, seen := range w.box.packets[w.box.first:] {
		c.note(seen)
	}
	c.flush()
	empty := len(c.ifaces) == 0
	w.unlock()
	if empty {
		return ""
	}
	file, err := createNext(w.box.dir(), "packets", ".pcapng")
	if err == nil {
		_, err = file.Write(c.full.Bytes())
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return fmt.Sprintf("the last packets could not be saved: %v", err)
	}
	return "the last packets: " + file.Name()
}

// createNext creates the first file of base.ext, base-2.ext and so on that does not exist:
// a test may have several worlds.
func createNext(dir, base, ext string) (*os.File, error) {
	for n, name := 2, base+ext; ; n++ {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		name = fmt.Sprintf("%s-%d%s", base, n, ext)
	}
}

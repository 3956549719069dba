package netfake

import (
	"fmt"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// goroutine is one of a bubble, as its stack trace begins: "goroutine 7 [chan receive
// (durable), synctest bubble 1]:".
type goroutine struct {
	id, wait string
	frames   []frame // innermost first, without the runtime's own
}

// frame is a function on a goroutine's stack.
type frame struct {
	function string // "example.com/shop.(*Cart).load"
	place    string // "/src/shop/cart.go:42"
}

// String returns "example.com/shop.(*Cart).load (/src/shop/cart.go:42)".
func (f frame) String() string { return fmt.Sprintf("%s (%s)", f.function, f.place) }

// short returns "shop.(*Cart).load (shop/cart.go:42)".
func (f frame) short() string {
	file := filepath.ToSlash(f.place)
	return fmt.Sprintf("%s (%s)", f.name(), path.Join(path.Base(path.Dir(file)), path.Base(file)))
}

// name returns the function without its package's path: "shop.(*Cart).load".
func (f frame) name() string { return f.function[strings.LastIndex(f.function, "/")+1:] }

// receiver returns the type whose method the function is, with its package, and of a
// plain function the function itself.
func (f frame) receiver() string {
	if i := strings.Index(f.function, ")."); i > 0 {
		return f.function[:i+1]
	}
	return f.function
}

// plumbing reports whether the function belongs to the standard library or to this
// module: what a test called, and not the test.
func (f frame) plumbing() bool {
	if strings.HasPrefix(f.function, "github.com/netspec-go/netspec/") {
		return !strings.Contains(f.place, "_test.go:")
	}
	if goRoot != "" {
		return strings.HasPrefix(f.place, goRoot)
	}
	first, _, _ := strings.Cut(f.place, "/")
	return slices.Contains(standard, first)
}

// goRoot is the directory of the standard library's sources, as stack traces have it; ""
// where they are trimmed.
var goRoot = func() string {
	file, _ := runtime.FuncForPC(reflect.ValueOf(runtime.GC).Pointer()).FileLine(0)
	root, _, _ := strings.Cut(file, "runtime/")
	return root
}()

// standard are the first elements of the standard library's paths, for a test that was
// built with -trimpath, where nothing else tells.
var standard = strings.Fields(`archive bufio bytes cmp compress container context crypto database debug embed
	encoding errors expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin
	reflect regexp runtime slices sort strconv strings structs sync syscall testing text time unicode unique unsafe
	vendor weak`)

// blame returns the innermost function of the test or the application, and what that
// called of the standard library or of this package: nil if it called none.
func (g *goroutine) blame() (caller frame, called *frame) {
	for i, f := range g.frames {
		if !f.plumbing() {
			if i > 0 {
				called = &g.frames[i-1]
			}
			return f, called
		}
	}
	return g.frames[0], nil
}

// reason returns the wait without the time that it has lasted so far.
func (g *goroutine) reason() string {
	reason, _, _ := strings.Cut(g.wait, ",")
	return reason
}

func allStacks() string {
	for size := 1 << 16; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size > 1<<26 {
			return string(buf[:n])
		}
	}
}

var goroutineHead = regexp.MustCompile(`(?m)^goroutine (\d+) .*?\[([^\]]*), synctest bubble (\d+)\]:$`)

// goroutines returns those of a bubble that do something of the test's.
func goroutines(stacks, bubble string) []goroutine {
	var all []goroutine
	for _, block := range strings.Split(stacks, "\n\n") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		m := goroutineHead.FindStringSubmatch(lines[0])
		if m == nil || m[3] != bubble || strings.HasPrefix(m[2], "synctest.Run") {
			continue
		}
		if g := (goroutine{m[1], m[2], userFrames(lines[1:])}); len(g.frames) > 0 && !g.keepsTime() {
			all = append(all, g)
		}
	}
	return all
}

// stuck returns the goroutines of a bubble that wait: those that wait durably, which in
// a deadlock is all of them, or those whose waiting keeps virtual time from passing.
func stuck(stacks, bubble string, durably bool) []goroutine {
	var all []goroutine
	for _, g := range goroutines(stacks, bubble) {
		if !g.running() && strings.Contains(g.wait, "(durable)") == durably {
			all = append(all, g)
		}
	}
	return all
}

// testsOwn returns the goroutines that run something of the test's, and not only what netspec
// serves by itself, such as the services beside an instance; all of them if there is none.
func testsOwn(all []goroutine) []goroutine {
	own := slices.DeleteFunc(slices.Clone(all), func(g goroutine) bool {
		return !slices.ContainsFunc(g.frames, func(f frame) bool { return !f.plumbing() })
	})
	if len(own) == 0 {
		return all
	}
	return own
}

// keepsTime reports whether the goroutine is a world's own, and waits for the time of the
// next event.
func (g *goroutine) keepsTime() bool {
	return strings.HasSuffix(g.frames[0].function, ".(*World).keepTime")
}

// running reports whether the goroutine computes or is about to.
func (g *goroutine) running() bool { return strings.HasPrefix(g.wait, "run") }

// userFrames keeps a stack's functions with their places, without the runtime's and
// the testing package's plumbing.
func userFrames(lines []string) []frame {
	var frames []frame
	for i := 0; i+1 < len(lines); i += 2 {
		name, _, _ := strings.Cut(lines[i], "(0x")
		name = strings.TrimSuffix(strings.TrimPrefix(name, "created by "), "(...)")
		name, _, _ = strings.Cut(strings.TrimSuffix(name, "()"), "({")
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		if strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "sync.") ||
			strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "testing") {
			continue
		}
		frames = append(frames, frame{name, place})
	}
	return frames
}

func describe(all []goroutine) string {
	var b strings.Builder
	for _, g := range all {
		fmt.Fprintf(&b, "goroutine %s waits: %s\n", g.id, g.wait)
		for _, f := range g.frames[:min(len(g.frames), 8)] {
			fmt.Fprintf(&b, "    %v\n", f)
		}
	}
	return b.String()
}

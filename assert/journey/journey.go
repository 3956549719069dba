// Package journey draws what a recording holds: who talked with whom, and the way of
// every packet, hop by hop, with the decision that was taken there. Text is for a
// terminal, HTML a page that needs nothing else. It is apart from assert so that only
// who draws compiles html/template.
//
//	rec := w.Record(nil)
//	... // the request
//	journey.Artifacts(t, "The way of a web request", rec)
package journey

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Text returns the conversations of a recording in the order in which they began. Each
// packet is a line, with the time since the recording's first; the first of each
// direction and the first that carries data are shown with their hops.
func Text(rec *netfake.Recording) string {
	var b strings.Builder
	all := rec.Conversations()
	for i, c := range all {
		fmt.Fprintf(&b, "%d. %s\n", i+1, title(c))
		for j, t := range c.Traces {
			fmt.Fprintf(&b, "   +%s %s %s%s\n", ms(t.Sent-began(all)), arrow(c, j), t.Summary, fate(&t))
			if telling(c, j) {
				b.WriteString(indent(t.HopLines()))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// began returns when the first packet of a recording was sent.
func began(all []*netfake.Conversation) time.Duration { return all[0].Traces[0].Sent }

func title(c *netfake.Conversation) string {
	to := c.To
	if to == "" {
		to = "nobody"
	}
	return fmt.Sprintf("%s %v → %s %v %v, %d packets", c.From, c.Flow.Src, to, c.Flow.Dst, c.Flow.Proto, len(c.Traces))
}

func arrow(c *netfake.Conversation, i int) string {
	if c.Back[i] {
		return "←"
	}
	return "→"
}

// fate says what became of a packet that did not arrive.
func fate(t *netfake.Trace) string {
	if b := t.Blocker(); b != nil && b.By != nil {
		return fmt.Sprintf(", dropped by %v: %s", b.By, b.Rule)
	}
	return ""
}

// telling reports whether a packet is worth its hops: it was dropped, or it is the
// first of its direction, or the first of its direction with data.
func telling(c *netfake.Conversation, i int) bool {
	if c.Traces[i].Blocker() != nil {
		return true
	}
	first, firstData := true, c.Traces[i].Data > 0
	for j := range i {
		if c.Back[j] == c.Back[i] {
			first = false
			firstData = firstData && c.Traces[j].Data == 0
		}
	}
	return first || firstData
}

func ms(d time.Duration) string { return fmt.Sprintf("%.3fms", float64(d)/1e6) }

func indent(lines string) string {
	return "      " + strings.TrimSuffix(strings.ReplaceAll(lines, "\n", "\n      "), "      ")
}

//go:embed journey.html
var page string

// HTML writes the recording as one page, which refers to nothing outside itself.
func HTML(out io.Writer, heading string, rec *netfake.Recording) error {
	t, err := template.New("journey").Parse(page)
	if err == nil {
		err = t.Execute(out, view{heading, conversations(rec)})
	}
	if err != nil {
		return fmt.Errorf("journey: %w", err)
	}
	return nil
}

// view is what the page's template is given.
type view struct {
	Heading       string
	Conversations []conversation
}

type conversation struct {
	Title   string
	Packets []packet
}

type packet struct {
	Sent, Arrow, Summary string
	Dropped, Open        bool
	Hops                 []hop
}

type hop struct {
	At, Place, By, Direction, Verdict, Rule string
	Before, After                           string // addresses; Before is "" where nothing was translated
	Dropped                                 bool
}

func conversations(rec *netfake.Recording) []conversation {
	var views []conversation
	all := rec.Conversations()
	for _, c := range all {
		v := conversation{Title: title(c)}
		for i, t := range c.Traces {
			v.Packets = append(v.Packets, packet{
				Sent: ms(t.Sent - began(all)), Arrow: arrow(c, i), Summary: t.Summary + fate(&t),
				Dropped: t.Blocker() != nil, Open: telling(c, i), Hops: hops(&t, began(all)),
			})
		}
		views = append(views, v)
	}
	return views
}

func hops(t *netfake.Trace, began time.Duration) []hop {
	var all []hop
	before := t.Flow
	for _, h := range t.Hops {
		v := hop{
			At: ms(t.Sent + h.At - began), Place: h.Place, Direction: h.Direction.String(),
			Verdict: h.Verdict.String(), Rule: h.Rule, After: h.Flow.String(), Dropped: h.Verdict == netfake.Drop,
		}
		if h.By != nil {
			v.By = h.By.String()
		}
		if h.Flow != before {
			v.Before = before.String()
		}
		before = h.Flow
		all = append(all, v)
	}
	return all
}

// TB is what Artifacts needs of a test: *testing.T and *testing.B have it.
type TB interface {
	netfake.TB
	ArtifactDir() string
}

// Artifacts writes the recording as journey.html and journey.txt into the test's
// artifact directory, which go test keeps when it is called with -artifacts. It returns
// the directory, for files to go beside them.
func Artifacts(t TB, heading string, rec *netfake.Recording) (dir string) {
	t.Helper()
	dir = t.ArtifactDir()
	var b strings.Builder
	if err := HTML(&b, heading, rec); err != nil {
		t.Fatalf("%v", err)
	}
	for name, text := range map[string]string{"journey.html": b.String(), "journey.txt": Text(rec)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatalf("journey: %v", err)
		}
	}
	return dir
}

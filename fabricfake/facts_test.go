package fabricfake_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var updateFacts = flag.Bool("update", false, "write testdata/facts.md")

// A fact is one line of testdata/facts.txt, which says how its lines are read.
type fact struct {
	id, text string
	sources  []string // as links
	why      string   // why no test shows it, "" if one does
	section  string
	tests    []string
}

// Every fact that is modelled has a test that names it, and testdata/facts.md tells which.
func TestFacts(t *testing.T) {
	text, err := os.ReadFile("testdata/facts.txt")
	if err != nil {
		t.Fatal(err)
	}
	facts, problems := parseFacts(string(text))
	shown, more := testsOfModule("..")
	problems = append(problems, more...)
	for _, p := range append(problems, match(facts, shown)...) {
		t.Error(p)
	}
	got := printFacts(facts)
	if *updateFacts {
		if err := os.WriteFile("testdata/facts.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/facts.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the tests show other facts than testdata/facts.md says; go test ./fabricfake -run '^TestFacts$' -update writes it anew (-have +want):\n%s", diff)
	}
}

// parseFacts reads facts and what is wrong with their list.
func parseFacts(text string) (facts []*fact, problems []string) {
	section, sources, seen := "", map[string]string{}, map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("facts.txt:%d: %s", n+1, fmt.Sprintf(format, args...)))
		}
		columns := strings.Split(line, " | ")
		switch words := strings.Fields(line); {
		case line == "" || line == "#" || strings.HasPrefix(line, "#\t"):
		case strings.HasPrefix(line, "# "):
			section = line[2:]
		case words[0] == "source" && len(words) >= 3:
			sources[words[1]] = strings.Join(words[2:], " ")
		case len(columns) < 3 || len(columns) > 4 || slices.Contains(columns, ""):
			problem("want \"id | fact | source\", and \" | why\" if no test shows it")
		case seen[columns[0]]:
			problem("there are two facts %s", columns[0])
		default:
			f := &fact{id: columns[0], text: columns[1], section: section}
			for _, source := range strings.Split(columns[2], ", ") {
				link, ok := linkTo(source, sources)
				if !ok {
					problem("%s is no source", source)
				}
				f.sources = append(f.sources, link)
			}
			if len(columns) == 4 {
				f.why = columns[3]
			}
			facts, seen[f.id] = append(facts, f), true
		}
	}
	return facts, problems
}

// linkTo makes a link of a source, "UG/subnet-sizing" or an address.
func linkTo(source string, sources map[string]string) (link string, ok bool) {
	if strings.HasPrefix(source, "https://") {
		return "[" + path.Base(source) + "](" + source + ")", true
	}
	key, page, _ := strings.Cut(source, "/")
	at, ok := sources[key]
	if !strings.HasPrefix(at, "https://") {
		return "*" + at + "*", ok
	}
	return "[" + cmp.Or(page, key) + "](" + strings.Replace(at, "*", page, 1) + ")", ok && strings.Contains(at, "*") == (page != "")
}

// match gives facts the tests that name them, and tells what does not fit.
func match(facts []*fact, shown map[string][]string) (problems []string) {
	known := map[string]bool{}
	for _, f := range facts {
		known[f.id], f.tests = true, shown[f.id]
		switch {
		case f.why == "" && len(f.tests) == 0:
			problems = append(problems, fmt.Sprintf("no test shows the fact %s (%s): name it in a comment \"// fact: %s\" above the test or its row, or say in testdata/facts.txt why it is left out", f.id, f.text, f.id))
		case f.why != "" && len(f.tests) > 0:
			problems = append(problems, fmt.Sprintf("%s shows the fact %s, which testdata/facts.txt leaves out (%s): take the reason away there", f.tests[0], f.id, f.why))
		}
	}
	for id, tests := range shown {
		if !known[id] {
			problems = append(problems, fmt.Sprintf("%s names the fact %s, which testdata/facts.txt does not have", tests[0], id))
		}
	}
	slices.Sort(problems)
	return problems
}

// printFacts prints the tables of testdata/facts.md.
func printFacts(facts []*fact) string {
	var b strings.Builder
	tests, left := map[string]bool{}, 0
	for _, f := range facts {
		for _, name := range f.tests {
			tests[name] = true
		}
		if f.why != "" {
			left++
		}
	}
	fmt.Fprintf(&b, "# Facts and the tests that show them\n\n"+
		"Made of facts.txt and of the tests by `go test ./fabricfake -run '^TestFacts$' -update`.\n\n"+
		"%d facts: %d that %d tests and rows of tests show, and %d that are left out.\n", len(facts), len(facts)-left, len(tests), left)
	section := ""
	for _, f := range facts {
		if f.section != section {
			section = f.section
			fmt.Fprintf(&b, "\n## %s\n\n| fact | what it says | source | shown by |\n|---|---|---|---|\n", section)
		}
		by := "left out: " + f.why
		if f.why == "" {
			by = "`" + strings.Join(f.tests, "`<br>`") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.id, f.text, strings.Join(f.sources, ", "), by)
	}
	return b.String()
}

// What does not fit is told, and what does is not.
func TestFactsThatDoNotFit(t *testing.T) {
	const head = "source UG https://example.com/*.html\nsource TALK https://example.com/talk\nsource U no source\n"
	for _, row := range []struct {
		name, facts string
		shown       map[string][]string
		want        string // "" if all is well
	}{
		{"a fact with a test", "a.b | it is so | UG/page", map[string][]string{"a.b": {"x.TestX"}}, ""},
		{"a fact that is left out", "a.b | it is so | UG/page, TALK, U | not modelled", nil, ""},
		{"a fact from an address", "a.b | it is so | https://example.com/page | not modelled", nil, ""},
		{"a fact without a test", "a.b | it is so | UG/page", nil, "no test shows the fact a.b (it is so)"},
		{"a test of what is left out", "a.b | it is so | UG/page | not modelled", map[string][]string{"a.b": {"x.TestX"}}, "x.TestX shows the fact a.b, which testdata/facts.txt leaves out (not modelled)"},
		{"a test of an unknown fact", "a.b | it is so | UG/page | not modelled", map[string][]string{"a.c": {"x.TestX"}}, "x.TestX names the fact a.c, which"},
		{"a fact twice", "a.b | it is so | U | no\na.b | it is so | U | no", nil, "facts.txt:5: there are two facts a.b"},
		{"a fact without a source", "a.b | it is so", nil, "facts.txt:4: want"},
		{"an unknown source", "a.b | it is so | X/page | no", nil, "facts.txt:4: X/page is no source"},
		{"a source without its page", "a.b | it is so | UG | no", nil, "facts.txt:4: UG is no source"},
		{"a talk with a page", "a.b | it is so | TALK/page | no", nil, "facts.txt:4: TALK/page is no source"},
	} {
		facts, problems := parseFacts(head + row.facts)
		problems = append(problems, match(facts, row.shown)...)
		if got := strings.Join(problems, "; "); (got == "") != (row.want == "") || !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: told %q, want %q", row.name, got, row.want)
		}
	}
}

package fabricfake_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// factMark begins a comment that names facts: "// fact: sg.allow, sg.order".
const factMark = "// fact: "

// testsOfModule returns which tests of the module at root name which facts, and what is
// wrong with their comments.
func testsOfModule(root string) (shown map[string][]string, problems []string) {
	shown = map[string][]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".git")):
			return filepath.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(source, []byte(factMark)) {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return testsOfFile(filepath.ToSlash(rel), source, shown, &problems)
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	for id := range shown {
		slices.Sort(shown[id])
		shown[id] = slices.Compact(shown[id])
	}
	return shown, problems
}

// testsOfFile adds what the comments of one file say.
func testsOfFile(name string, source []byte, shown map[string][]string, problems *[]string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lines := strings.Split(string(source), "\n")
	dir := name[:max(0, strings.LastIndexByte(name, '/'))]
	for _, group := range file.Comments {
		for _, c := range group.List {
			list, ok := strings.CutPrefix(c.Text, factMark)
			if !ok {
				continue
			}
			f := functionAt(file, group)
			test := testOf(file, f)
			if test == "" {
				*problems = append(*problems, fmt.Sprintf("%v: %q stands in no test", files.Position(c.Pos()), c.Text))
				continue
			}
			test = dir + "." + test + rowBelow(files, lines, f, group)
			for _, id := range strings.Split(list, ", ") {
				shown[id] = append(shown[id], test)
			}
		}
	}
	return nil
}

// functionAt returns the function that a comment stands in or above, nil if there is none.
func functionAt(file *ast.File, group *ast.CommentGroup) *ast.FuncDecl {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && (f.Doc == group || f.Pos() <= group.Pos() && group.End() <= f.End()) {
			return f
		}
	}
	return nil
}

// testOf returns the name of the test that a function is: its own, or of what runs it, as
// TestX runs testX. It is "" for a function that is no test.
func testOf(file *ast.File, f *ast.FuncDecl) string {
	if f == nil {
		return ""
	}
	name := f.Name.Name
	for _, kind := range []string{"Test", "Example", "Fuzz"} {
		if strings.HasPrefix(name, kind) {
			return name
		}
	}
	for _, d := range file.Decls {
		runner, ok := d.(*ast.FuncDecl)
		if rest, lower := strings.CutPrefix(name, "test"); ok && lower && runner.Name.Name == "Test"+rest {
			return runner.Name.Name
		}
	}
	return ""
}

// rowBelow returns "/name" of the table's row that begins the line below a comment, "" if
// none does.
func rowBelow(files *token.FileSet, lines []string, f *ast.FuncDecl, group *ast.CommentGroup) (name string) {
	below := files.Position(group.End()).Line + 1
	ast.Inspect(f, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok || name != "" {
			return name == ""
		}
		for i, row := range table.Elts {
			at := files.Position(row.Pos())
			if at.Line == below && strings.TrimSpace(lines[at.Line-1][:at.Column-1]) == "" {
				name = "/" + rowName(table.Elts, i, lines[at.Line-1])
				return false
			}
		}
		return true
	})
	return name
}

// rowName is the first text in a row, which is its name; if it has none, or another row has
// the same, it is the line in which the row begins.
func rowName(rows []ast.Expr, i int, line string) string {
	name, same := firstText(rows[i]), 0
	for _, row := range rows {
		if firstText(row) == name {
			same++
		}
	}
	if same > 1 || name == "" {
		name = strings.Trim(line, "\t{},")
	}
	return strings.NewReplacer("|", "¦", "`", "'", "\n", " ").Replace(name)
}

// firstText returns the first text that is not empty in an expression, one that stands in no
// function before one that does.
func firstText(e ast.Expr) (text string) {
	for _, functions := range []bool{false, true} {
		ast.Inspect(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return functions
			case *ast.BasicLit:
				if n.Kind == token.STRING && text == "" {
					text, _ = strconv.Unquote(n.Value)
				}
			}
			return text == ""
		})
	}
	return text
}

// Comments above tests and rows are understood, those elsewhere are told.
func TestFactComments(t *testing.T) {
	const source = `package x

// TestA tests.
// fact: a, b
func TestA(t *testing.T) {
	for _, row := range []struct{ name string }{
		{"one"},
		// A group of rows.
		// fact: c
		{"two", "ways"},
		// fact: d
		{"two"},
		// fact: e
		{f: func() { g("inside") }, name: "three"},
		// fact: f
		{7},
	} {
		// fact: g
		row.f([]string{"eight"})
	}
	for range map[string]int{
		// fact: h
		"key": 1,
	} {
	}
}

func TestB(t *testing.T) { run(t, testB) }

func testB(t *testing.T) {
	// fact: a
	b()
}

// fact: z
var table = 1

// fact: y
func helper() {}
`
	shown, problems := map[string][]string{}, []string(nil)
	if err := testsOfFile("room/x_test.go", []byte(source), shown, &problems); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"a": {"room.TestA", "room.TestB"}, "b": {"room.TestA"},
		"c": {`room.TestA/"two", "ways"`}, "d": {`room.TestA/"two"`}, "e": {"room.TestA/three"}, "f": {"room.TestA/7"},
		"g": {"room.TestA"}, "h": {"room.TestA/key"},
	}
	if diff := gocmp.Diff(want, shown); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{
		`room/x_test.go:35:1: "// fact: z" stands in no test`,
		`room/x_test.go:38:1: "// fact: y" stands in no test`,
	}, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

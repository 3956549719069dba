package netfake

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBox fails or passes, as TestBlackBox asks it to.
func TestBox(t *testing.T) {
	how := os.Getenv("NETFAKE_BOX")
	if how == "" {
		return
	}
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		client.Dial("tcp", server.TCP(81).Addr.String())
		if how == "fail" {
			t.Error("something is wrong")
		}
	})
}

// A test that fails leaves its last packets behind where artifacts are wanted; one that
// passes, and one whose artifacts nobody wants, leave nothing.
func TestBlackBox(t *testing.T) {
	for _, row := range []struct {
		name, how string
		flags     []string
		files     int
	}{
		{"fails", "fail", []string{"-test.artifacts"}, 1},
		{"passes", "pass", []string{"-test.artifacts"}, 0},
		{"fails, and nobody wants artifacts", "fail", nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], append(row.flags, "-test.run=^TestBox$", "-test.outputdir="+dir)...)
			cmd.Env = append(os.Environ(), "NETFAKE_BOX="+row.how)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (row.how == "pass") {
				t.Fatalf("%v\n%s", err, out)
			}
			var files []string
			filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
				if filepath.Ext(path) == ".pcapng" {
					files = append(files, path)
				}
				return nil
			})
			if len(files) != row.files {
				t.Fatalf("files %q, want %d\n%s", files, row.files, out)
			}
			for _, f := range files {
				data, err := os.ReadFile(f)
				if err != nil || !bytes.Contains(data, []byte("DROP server ingress: nobody listens on tcp/81")) || !bytes.Contains(out, []byte(f)) {
					t.Errorf("%s has %d bytes, %v\n%s", f, len(data), err, out)
				}
			}
		})
	}
}

// A box remembers the last packets, as many as its size allows, and forgets those before.
func TestBlackBoxForgets(t *testing.T) {
	var b blackBox
	const size, all = 1000, 20000
	for n := range all {
		b.add(captured{at: 1, key: uint64(n), data: make([]byte, size)})
	}
	kept := b.packets[b.first:]
	if len(kept) != blackBoxSize/size || kept[0].key != all-blackBoxSize/size || kept[len(kept)-1].key != all-1 {
		t.Errorf("%d packets from %d on", len(kept), kept[0].key)
	}
	if len(b.packets) > 2*len(kept)+1024 {
		t.Errorf("%d places for %d packets", len(b.packets), len(kept))
	}
}

// Each world of a test has a file of its own.
func TestCreateNext(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"packets.pcapng", "packets-2.pcapng", "packets-3.pcapng"} {
		f, err := createNext(dir, "packets", ".pcapng")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if f.Name() != filepath.Join(dir, name) {
			t.Errorf("got %s, want %s", f.Name(), name)
		}
	}
	if _, err := createNext(filepath.Join(dir, "nowhere"), "packets", ".pcapng"); err == nil {
		t.Error("a file in no directory")
	}
}

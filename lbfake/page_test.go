package lbfake

import "testing"

// The lengths of the pages are those of captured responses.
func TestPage(t *testing.T) {
	for status, length := range map[int]int{503: 162, 502: 122, 301: 134} {
		if got := len(page(status)); got != length {
			t.Errorf("the page of %d has %d bytes, want %d", status, got, length)
		}
	}
	want := "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
	if got := page(502); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

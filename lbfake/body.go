package lbfake

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// bodyState is how far the client has sent its request's body.
type bodyState uint8

const (
	bodyOK      bodyState = iota // it was read to its end, or so far as was wanted
	bodyStalled                  // nothing more came within the idle timeout
	bodyBroken                   // the client went away
)

// clientBody is a request's body on its way to a target. A read gives up when nothing
// comes for the idle timeout.
type clientBody struct {
	io.ReadCloser
	control *http.ResponseController
	idle    time.Duration

	mu  sync.Mutex
	why bodyState
}

// Read reads from the client.
func (b *clientBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.end(bodyStalled)
	default:
		b.end(bodyBroken)
	}
	return n, err
}

func (b *clientBody) end(why bodyState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.why = why
}

func (b *clientBody) state() bodyState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

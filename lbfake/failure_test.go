package lbfake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestBlame(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	read := func(err error) error {
		return fmt.Errorf("net/http: %w", &net.OpError{Op: "read", Net: "tcp", Err: err})
	}
	for _, row := range []struct {
		rule  string
		err   error
		ended error
		body  bodyState
		want  int
	}{
		{"connection refused", dial(syscall.ECONNREFUSED), nil, bodyOK, 502},
		{"no connection in time", dial(context.DeadlineExceeded), nil, bodyOK, 504},
		{"no way to the target", dial(syscall.ENETUNREACH), nil, bodyOK, 502},
		{"no response in time", read(os.ErrDeadlineExceeded), nil, bodyOK, 504},
		{"reset", read(syscall.ECONNRESET), nil, bodyOK, 502},
		{"closed without a response", io.EOF, nil, bodyOK, 502},
		{"closed within the header", io.ErrUnexpectedEOF, nil, bodyOK, 502},
		{"a pooled connection closed", errors.New("http: server closed idle connection"), nil, bodyOK, 502},
		{"malformed", errors.New(`malformed HTTP response "x"`), nil, bodyOK, 502},
		{"deregistration delay over", context.Canceled, errDrained, bodyOK, 502},
		{"client went away", context.Canceled, context.Canceled, bodyOK, 460},
		{"client went away within its body", io.ErrUnexpectedEOF, context.Canceled, bodyBroken, 400},
		{"client sends no more", read(os.ErrDeadlineExceeded), nil, bodyStalled, 408},
	} {
		if got, why := blame(row.err, row.ended, row.body); got != row.want || why == "" {
			t.Errorf("%s: got %d %q, want %d", row.rule, got, why, row.want)
		}
	}
}

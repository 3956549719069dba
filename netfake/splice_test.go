package netfake

import (
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func TestSpliced(t *testing.T) {
	in := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	for _, row := range []struct {
		name      string
		err, want error
	}{
		{"no error", nil, nil},
		{"a read that failed", in("read", os.NewSyscallError("read", syscall.ECONNRESET)), os.NewSyscallError("splice", syscall.ECONNRESET)},
		{"a write that failed", in("write", os.NewSyscallError("write", syscall.EPIPE)), os.NewSyscallError("splice", syscall.EPIPE)},
		// What no system call said stays what it is.
		{"closed", in("write", net.ErrClosed), net.ErrClosed},
		{"too late", in("read", os.ErrDeadlineExceeded), os.ErrDeadlineExceeded},
		{"another's error", errFailing, errFailing},
	} {
		if got := spliced(row.err); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: %#v, want %#v", row.name, got, row.want)
		}
	}
}

func TestIsConn(t *testing.T) {
	c := &TCPConn{}
	for _, r := range []io.Reader{c, connReader{c}, &io.LimitedReader{R: c, N: 1}} {
		if !isConn(r) {
			t.Errorf("%T is none", r)
		}
	}
	for _, r := range []io.Reader{strings.NewReader(""), struct{ io.Reader }{c}, &io.LimitedReader{R: strings.NewReader(""), N: 1}} {
		if isConn(r) {
			t.Errorf("%T is one", r)
		}
	}
}

package netfake

import (
	"errors"
	"io"
	"net"
	"os"
)

// ReadFrom writes what r has until it ends. It is Write for io.Copy; its errors are those
// of *net.TCPConn, which are of splice(2) if r is a connection too.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	if !isConn(r) {
		n, err := io.Copy(struct{ io.Writer }{c}, r)
		return n, c.opError("readfrom", err)
	}
	n, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{r})
	return n, c.opError("readfrom", spliced(err))
}

// WriteTo reads to w until the other end has closed. It is Read for io.Copy; its errors
// are those of *net.TCPConn.
func (c *TCPConn) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, connReader{c})
	return n, c.opError("writeto", err)
}

// connReader is a connection without the methods that io.Copy prefers to Read.
type connReader struct{ io.Reader }

// isConn reports whether r is one that net would splice from: a connection, or the
// beginning of what it has to say.
func isConn(r io.Reader) bool {
	switch r := r.(type) {
	case *TCPConn, connReader:
		return true
	case *io.LimitedReader:
		_, ok := r.R.(*TCPConn)
		return ok
	}
	return false
}

// spliced is the error of a read or a write as splice(2) has it, which does not say at which
// of the two connections it happened.
func spliced(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	var call *os.SyscallError
	if errors.As(op.Err, &call) {
		return os.NewSyscallError("splice", call.Err)
	}
	return op.Err
}

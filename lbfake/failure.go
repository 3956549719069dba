package lbfake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// errDrained is why a request is given up whose target's deregistration delay is over.
var errDrained = errors.New("lbfake: " + textDrained)

const textDrained = "the deregistration delay ran out"

// blame returns the status for a request that a target did not answer, and why. err is
// what http.Transport said, ended why the request was given up, nil if it was not.
// Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
func blame(err, ended error, body bodyState) (status int, reason string) {
	switch {
	case errors.Is(ended, errDrained):
		return http.StatusBadGateway, textDrained
	case body == bodyStalled:
		return http.StatusRequestTimeout, "the client sent no more of its body before the idle timeout"
	case body == bodyBroken:
		return http.StatusBadRequest, "the client closed before its whole body was sent"
	case errors.Is(ended, context.Canceled):
		return statusClientClosed, "the client closed before the target answered"
	case isDial(err) && isTimeout(err):
		return http.StatusGatewayTimeout, fmt.Sprintf("no connection within %v", ConnectTimeout)
	case isTimeout(err):
		return http.StatusGatewayTimeout, "no response before the idle timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return http.StatusBadGateway, "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return http.StatusBadGateway, "the connection was reset before a response came"
	case isClosed(err):
		return http.StatusBadGateway, "the connection was closed before a response came"
	case isDial(err):
		return http.StatusBadGateway, "there is no way: " + err.Error()
	}
	return http.StatusBadGateway, "the response is malformed: " + err.Error()
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
}

// isClosed reports whether a target ended a connection with a request on it. For a
// connection that had been used before, http.Transport has an error of its own that it
// does not export.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "server closed idle connection")
}

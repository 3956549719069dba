// Package interop proves that programs which nobody here wrote run unchanged on the
// hosts of netspec: gRPC, HTTP/3, HTTP/2, Redis, WebSocket and DNS, client and server,
// and that a packet library which knows nothing of netspec agrees with its captures.
//
// It is a module of its own, with nothing but tests, so that users of netspec never get
// what these tests depend on. There is one file for each library. Each test stands in a
// VPC of two zones, says exactly when things happen, and runs in virtual time; the one
// that cannot says why.
//
// # Not proved
//
// That every feature of a library works: only those that lean on the network, such as
// streams, deadlines, keep-alives and reconnecting. Programs that insist on a
// *net.TCPConn, a file descriptor or a *net.Dialer cannot run on netspec at all.
package interop

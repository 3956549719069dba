// gRPC runs its own HTTP/2 on the connections that a context dialer gives it, and
// keeps timers of its own for deadlines and keep-alives. The tests call a service
// without generated code, once and in both directions at once, and watch both kinds of
// timer fire over a link that was cut.

package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// shouts is a service that answers in capitals: Shout once, Chat as long as somebody
// talks to it.
var shouts = grpc.ServiceDesc{
	ServiceName: "interop.Shouts",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Shout", Handler: shout}},
	Streams:     []grpc.StreamDesc{chatting},
}

var chatting = grpc.StreamDesc{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true}

func shout(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	return wrapperspb.String(strings.ToUpper(in.Value)), nil
}

func chat(_ any, s grpc.ServerStream) error {
	for {
		in := new(wrapperspb.StringValue)
		switch err := s.RecvMsg(in); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := s.SendMsg(wrapperspb.String(strings.ToUpper(in.Value))); err != nil {
			return err
		}
	}
}

// serveGRPC serves shouts and gRPC's own health service until the test ends.
func serveGRPC(t *testing.T, l net.Listener, options ...grpc.ServerOption) {
	s := grpc.NewServer(options...)
	s.RegisterService(&shouts, nil)
	healthpb.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l)
	t.Cleanup(s.Stop)
}

// dialGRPC returns a client of the pair's server, which has not connected yet. Names are
// left to the host by "passthrough": gRPC's own resolver would ask the real network.
func dialGRPC(t *testing.T, p pair, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+p.address("50051"), append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(p.client.DialTCP),
	}, options...)...)
	must(t, err)
	t.Cleanup(func() { cc.Close() })
	return cc
}

// newShouts builds a pair, a server and a client that is connected.
func newShouts(t *testing.T, w *netfake.World, options ...grpc.DialOption) (pair, *grpc.ClientConn) {
	t.Helper()
	p := newPair(w, "tcp/50051")
	serveGRPC(t, p.listen(t, ":50051"))
	cc := dialGRPC(t, p, options...)
	must(t, callShout(t.Context(), cc))
	return p, cc
}

func callShout(ctx context.Context, cc *grpc.ClientConn) error {
	out := new(wrapperspb.StringValue)
	if err := cc.Invoke(ctx, "/interop.Shouts/Shout", wrapperspb.String("hello"), out); err != nil {
		return err
	}
	if out.Value != "HELLO" {
		return fmt.Errorf("got %q, want HELLO", out.Value)
	}
	return nil
}

func openChat(t *testing.T, cc *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	s, err := cc.NewStream(t.Context(), &chatting, "/interop.Shouts/Chat")
	must(t, err)
	return s
}

func TestGRPCUnary(t *testing.T) { netfake.Run(t, testGRPCUnary) }

func testGRPCUnary(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/50051")
	serveGRPC(t, p.listen(t, ":50051"))
	cc := dialGRPC(t, p)

	// One round trip for TCP, one for the settings of HTTP/2, one for the call.
	resp, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{})
	must(t, err)
	assert.Equal(t, resp.Status, healthpb.HealthCheckResponse_SERVING)
	took(t, "the first call", w, 0, 3*rtt)

	start := w.Now()
	must(t, callShout(t.Context(), cc))
	took(t, "a call on an open connection", w, start, rtt)
}

func TestGRPCOverTLS(t *testing.T) { netfake.Run(t, testGRPCOverTLS) }

func testGRPCOverTLS(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/50051")
	cert := p.certificate(t, w)
	serveGRPC(t, p.listen(t, ":50051"), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))

	must(t, callShout(t.Context(), dialGRPC(t, p, grpc.WithTransportCredentials(credentials.NewTLS(p.client.TLSConfig())))))
	err := callShout(t.Context(), dialGRPC(t, p))
	assert.Equal(t, status.Code(err), codes.Unavailable) // in the clear
}

func TestGRPCStream(t *testing.T) { netfake.Run(t, testGRPCStream) }

func testGRPCStream(t *testing.T, w *netfake.World) {
	_, cc := newShouts(t, w)
	start := w.Now()
	s := openChat(t, cc)
	for i := range 100 {
		must(t, s.SendMsg(wrapperspb.String(fmt.Sprintf("message %d", i))))
		out := new(wrapperspb.StringValue)
		must(t, s.RecvMsg(out))
		assert.Equal(t, out.Value, fmt.Sprintf("MESSAGE %d", i))
	}
	took(t, "100 questions and answers", w, start, 100*rtt)

	must(t, s.CloseSend())
	assert.Equal(t, s.RecvMsg(new(wrapperspb.StringValue)), io.EOF)
}

// Both sides talk at once, far beyond the windows of HTTP/2 and through loss, and
// nothing is missing.
func TestGRPCStreamThroughLoss(t *testing.T) { netfake.Run(t, testGRPCStreamThroughLoss) }

func testGRPCStreamThroughLoss(t *testing.T, w *netfake.World) {
	p, cc := newShouts(t, w)
	p.link.SetLoss(0.02)
	s := openChat(t, cc)
	long := strings.Repeat("0123456789abcdef", 4096)
	go func() {
		for range 32 {
			s.SendMsg(wrapperspb.String(long))
		}
		s.CloseSend()
	}()
	var got bytes.Buffer
	out := new(wrapperspb.StringValue)
	err := s.RecvMsg(out)
	for ; err == nil; err = s.RecvMsg(out) {
		got.WriteString(out.Value)
	}
	assert.Equal(t, err, io.EOF)
	assert.Equal(t, got.String() == strings.Repeat(strings.ToUpper(long), 32), true)
	assert.Bit(t, p.link)
}

// A deadline expires to the nanosecond where nothing comes back, and the same call
// succeeds once the link is whole.
func TestGRPCDeadline(t *testing.T) { netfake.Run(t, testGRPCDeadline) }

func testGRPCDeadline(t *testing.T, w *netfake.World) {
	p, cc := newShouts(t, w)
	repair := p.link.Partition()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := w.Now()
	assert.Equal(t, status.Code(callShout(ctx, cc)), codes.DeadlineExceeded)
	took(t, "the deadline", w, start, 5*time.Second)
	assert.Bit(t, p.link)

	repair.Undo()
	must(t, callShout(t.Context(), cc))
}

// Keep-alives find a peer that crashed without a word: a ping after ten seconds
// without traffic, and three seconds for its answer. TCP alone would not notice, as
// nothing is in flight.
func TestGRPCKeepalive(t *testing.T) { netfake.Run(t, testGRPCKeepalive) }

func testGRPCKeepalive(t *testing.T, w *netfake.World) {
	p, cc := newShouts(t, w, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}))
	s := openChat(t, cc)
	must(t, s.SendMsg(wrapperspb.String("hello")))
	must(t, s.RecvMsg(new(wrapperspb.StringValue)))
	start := w.Now()
	restart := p.server.Crash()
	assert.Equal(t, status.Code(s.RecvMsg(new(wrapperspb.StringValue))), codes.Unavailable)
	took(t, "finding out", w, start, 13*time.Second)

	// The machine is back, and the same client finds it.
	restart.Undo()
	serveGRPC(t, p.listen(t, ":50051"))
	out := new(wrapperspb.StringValue)
	must(t, cc.Invoke(t.Context(), "/interop.Shouts/Shout", wrapperspb.String("again"), out, grpc.WaitForReady(true)))
	assert.Equal(t, out.Value, "AGAIN")
}

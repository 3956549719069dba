package netfake

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParityHTTP(t *testing.T) { checkParity(t, parityHTTP) }
func TestParityTLS(t *testing.T)  { checkParity(t, parityTLS) }

// site is an HTTP server of the scene, its client, and what becomes of its connections.
type site struct {
	*http.Server
	client *http.Client
	url    string

	mu     sync.Mutex
	opened int
}

// serve starts a server on l and makes a client for it.
func (s *scene) serve(l net.Listener, scheme string, handler http.HandlerFunc) *site {
	v := &site{url: scheme + "://" + l.Addr().String() + "/"}
	v.Server = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if state == http.StateNew {
			v.opened++
		}
	}}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return s.dial(ctx, network, s.from("0"), address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	v.client = &http.Client{Transport: transport}
	done := make(chan error, 1)
	go func() { done <- v.Serve(l) }()
	s.Cleanup(func() {
		transport.CloseIdleConnections()
		v.Close()
		<-done
	})
	return v
}

func (v *site) connections() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.opened
}

// get tells what one request gives.
func (s *scene) get(what string, v *site, ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, "GET", v.url, nil)
	s.must(err)
	reused := false
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}
	resp, err := v.client.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		var at *url.Error
		s.tell(what, errors.As(err, &at) && at.Timeout(), err)
		return
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	s.tell(what, resp.Status, string(b), "reused", reused, err)
}

func hello(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "hello, ", r.Proto) }

var parityHTTP = []parityCase{
	{name: "a connection is used again", do: func(s *scene) {
		v := s.serve(s.listener(), "http", hello)
		for range 3 {
			s.get("GET", v, context.Background())
		}
		s.tell("connections", v.connections())
	}},
	{name: "a body that was not read costs the connection", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, _ *http.Request) { rw.Write(make([]byte, 1<<20)) })
		resp, err := v.client.Get(v.url)
		s.must(err)
		s.tell("Close", resp.Body.Close())
		resp, err = v.client.Get(v.url)
		s.must(err)
		n, err := io.Copy(io.Discard, resp.Body)
		s.tell("the body", n, err)
		s.tell("connections", v.connections())
	}},
	{name: "the server closes the connection after the answer", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Connection", "close") })
		s.get("GET", v, context.Background())
		s.get("GET", v, context.Background())
		s.tell("connections", v.connections())
	}},
	{name: "nobody listens", do: func(s *scene) {
		l := s.listener()
		v := s.serve(l, "http", hello)
		l.Close()
		s.get("GET", v, context.Background())
	}},
	{name: "a handler gives up in the middle of the body", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			fmt.Fprint(rw, "part")
			rw.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		s.get("GET", v, context.Background())
	}},
	{name: "a handler gives up in the middle of chunks", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(rw, "part")
			rw.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		s.get("GET", v, context.Background())
	}},
	{name: "a server that hangs up without a word", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, _ *http.Request) {
			c, _, _ := http.NewResponseController(rw).Hijack()
			c.Close()
		})
		s.get("GET", v, context.Background())
	}},
	{name: "a server that resets", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, _ *http.Request) {
			c, _, _ := http.NewResponseController(rw).Hijack()
			c.(tcpConn).SetLinger(0)
			c.Close()
		})
		s.get("GET", v, context.Background())
	}},
	{name: "a request that is cancelled, and the handler that learns it", do: func(s *scene) {
		learned := make(chan error, 1)
		ctx, cancel := context.WithCancel(context.Background())
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
			learned <- r.Context().Err()
		})
		s.get("GET", v, ctx)
		s.tell("the handler", <-learned)
	}},
	{name: "a request that takes too long", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithDeadline(context.Background(), soon())
		defer cancel()
		s.get("GET", v, ctx)
	}},
	{name: "a body that takes too long", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprint(rw, "part")
			rw.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		ctx, cancel := context.WithCancel(context.Background())
		resp, err := v.client.Do(s.request(ctx, v.url))
		s.must(err)
		b := make([]byte, 100)
		n, err := resp.Body.Read(b)
		s.tell("the part", string(b[:n]), err)
		cancel()
		_, err = resp.Body.Read(b)
		s.tell("the rest", err)
	}},
	{name: "Shutdown waits for the handler, and ends idle connections", do: func(s *scene) {
		inside, goOn := make(chan bool), make(chan bool)
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, r *http.Request) {
			inside <- true
			<-goOn
			hello(rw, r)
		})
		got := make(chan bool)
		go func() {
			s.get("GET", v, context.Background())
			got <- true
		}()
		<-inside
		down := make(chan error)
		go func() { down <- v.Shutdown(context.Background()) }()
		close(goOn)
		<-got
		s.tell("Shutdown", <-down)
		s.get("GET", v, context.Background())
	}},
	{name: "Close ends a request that is under way", do: func(s *scene) {
		var v *site
		v = s.serve(s.listener(), "http", func(rw http.ResponseWriter, r *http.Request) {
			go v.Close()
			<-r.Context().Done()
		})
		s.get("GET", v, context.Background())
	}},
	{name: "an upload that the server does not want", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, r *http.Request) {
			http.Error(rw, "no", http.StatusForbidden)
		})
		req := s.request(context.Background(), v.url)
		req.Method, req.Body, req.ContentLength = "PUT", io.NopCloser(strings.NewReader("text")), 4
		req.Header.Set("Expect", "100-continue")
		resp, err := v.client.Do(req)
		s.must(err)
		b, err := io.ReadAll(resp.Body)
		s.tell("PUT", resp.Status, string(b), err)
	}},
	{name: "an upload of a mebibyte comes back", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(rw http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			s.tell("the server reads", len(b), err)
			rw.Write(b)
		})
		resp, err := v.client.Post(v.url, "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
		s.must(err)
		b, err := io.ReadAll(resp.Body)
		s.tell("the client reads", len(b), err)
	}},
	{name: "requests in a row before the first answer", do: func(s *scene) {
		v := s.serve(s.listener(), "http", hello)
		c, err := s.dial(context.Background(), "tcp", s.from("0"), v.url[len("http://"):len(v.url)-1])
		s.must(err)
		defer c.Close()
		fmt.Fprint(c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3))
		r := bufio.NewReader(c)
		for range 3 {
			resp, err := http.ReadResponse(r, nil)
			s.must(err)
			b, err := io.ReadAll(resp.Body)
			s.tell("an answer", string(b), err)
		}
	}},
	{name: "a request that is none", do: func(s *scene) {
		v := s.serve(s.listener(), "http", hello)
		c, err := s.dial(context.Background(), "tcp", s.from("0"), v.url[len("http://"):len(v.url)-1])
		s.must(err)
		defer c.Close()
		fmt.Fprint(c, "nonsense\r\n\r\n")
		b, err := io.ReadAll(c)
		s.tell("the answer", string(b), err)
	}},
	{name: "a client's Timeout", do: func(s *scene) {
		v := s.serve(s.listener(), "http", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		v.client.Timeout = 5 * time.Millisecond
		s.get("GET", v, context.Background())
	}},
}

func (s *scene) request(ctx context.Context, url string) *http.Request {
	s.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	s.must(err)
	return req
}

// secret returns a certificate that nobody trusts.
func (s *scene) secret() *tls.Config {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	s.must(err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

var parityTLS = []parityCase{
	{name: "there and back, and the end", do: func(s *scene) {
		c, a := s.pair()
		client, server := tls.Client(c, &tls.Config{InsecureSkipVerify: true}), tls.Server(a, s.secret())
		go io.Copy(struct{ io.Writer }{server}, struct{ io.Reader }{server})
		s.tell("Handshake", client.Handshake())
		s.write("a write", client, "text")
		s.read("its echo", client, 100)
		s.tell("CloseWrite", client.CloseWrite())
		s.tell("Close", client.Close())
		s.write("a write", client, "text")
	}},
	{name: "the end without a farewell", do: func(s *scene) {
		c, a := s.pair()
		client, server := tls.Client(c, &tls.Config{InsecureSkipVerify: true}), tls.Server(a, s.secret())
		got := started(server.Handshake)
		s.tell("Handshake", client.Handshake())
		s.tell("the server's", <-got)
		a.Close()
		s.read("a read", client, 1)
	}},
	{name: "a client that speaks plain text", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		s.tell("Handshake", tls.Server(a, s.secret()).Handshake())
	}},
	{name: "a server that hangs up during the handshake", do: func(s *scene) {
		c, a := s.pair()
		go func() {
			a.Read(make([]byte, 1<<16))
			a.Close()
		}()
		s.tell("Handshake", tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake())
	}},
	{name: "a handshake that takes too long", do: func(s *scene) {
		c, _ := s.pair()
		ctx, cancel := context.WithDeadline(context.Background(), soon())
		defer cancel()
		s.tell("Handshake", tls.Client(c, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx))
	}},
	{name: "a certificate that is not trusted", do: func(s *scene) {
		c, a := s.pair()
		got := started(tls.Server(a, s.secret()).Handshake)
		err := tls.Client(c, &tls.Config{ServerName: "x"}).Handshake()
		var unknown x509.UnknownAuthorityError
		s.tell("the client", errors.As(err, &unknown))
		s.tell("the server", <-got)
	}},
	{name: "a deadline spoils the connection for writing", do: func(s *scene) {
		c, a := s.pair()
		client, server := tls.Client(c, &tls.Config{InsecureSkipVerify: true}), tls.Server(a, s.secret())
		got := started(server.Handshake)
		s.must(client.Handshake())
		s.must(<-got)
		client.SetDeadline(past)
		s.read("a read", client, 1)
		s.write("a write", client, "x")
		client.SetDeadline(time.Time{})
		s.write("another", client, "x")
	}},
	{name: "HTTP over TLS", do: func(s *scene) {
		v := s.serve(tls.NewListener(s.listener(), s.secret()), "https", hello)
		s.get("GET", v, context.Background())
		s.get("GET", v, context.Background())
		s.tell("connections", v.connections())
	}},
	{name: "a plain request to a TLS server", do: func(s *scene) {
		l := s.listener()
		v := s.serve(tls.NewListener(l, s.secret()), "https", hello)
		v.url = "http://" + l.Addr().String() + "/"
		s.get("GET", v, context.Background())
	}},
	{name: "a TLS request to a plain server", do: func(s *scene) {
		l := s.listener()
		v := s.serve(l, "http", hello)
		v.url = "https://" + l.Addr().String() + "/"
		s.get("GET", v, context.Background())
	}},
}

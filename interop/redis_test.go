// go-redis keeps a pool of connections with deadlines on every read, and miniredis is a
// Redis server in Go that serves any net.Conn. The tests use them as an application
// would: values, a pipeline, subscriptions, a blocking command, and a server that
// falls silent.

package interop_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// connecting is how long go-redis needs for a connection: one round trip for TCP, one
// for HELLO and one to say which library calls.
const connecting = 3 * rtt

// newRedis builds a pair with a Redis server, and returns a client of it that has
// connected once.
func newRedis(t *testing.T, w *netfake.World) (pair, *redis.Client) {
	t.Helper()
	p := newPair(w, "tcp/6379")
	serveRedis(t, p.listen(t, ":6379"))
	c := dialRedis(t, p, 10)
	must(t, c.Ping(t.Context()).Err())
	return p, c
}

// dialRedis returns a client with at most so many connections, which tries once.
func dialRedis(t *testing.T, p pair, connections int) *redis.Client {
	c := redis.NewClient(&redis.Options{
		Addr:                     p.address("6379"),
		Dialer:                   p.client.DialContext,
		ReadTimeout:              3 * time.Second,
		PoolSize:                 connections,
		MaxRetries:               -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// serveRedis serves an empty database until the test ends. The connection of Dial is how
// miniredis is started without a listener of its own.
func serveRedis(t *testing.T, l net.Listener) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	starter, err := m.Dial()
	must(t, err)
	starter.Close()
	t.Cleanup(m.Close)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.Server().ServeConn(c)
		}
	}()
}

func TestRedisValues(t *testing.T) { netfake.Run(t, testRedisValues) }

func testRedisValues(t *testing.T, w *netfake.World) {
	_, c := newRedis(t, w)
	start := w.Now()
	must(t, c.Set(t.Context(), "greeting", "hello", 0).Err())
	got, err := c.Get(t.Context(), "greeting").Result()
	must(t, err)
	assert.Equal(t, got, "hello")
	took(t, "writing and reading", w, start, 2*rtt)

	_, err = c.Get(t.Context(), "nothing").Result()
	assert.Equal(t, err, error(redis.Nil))
}

// A hundred commands in a pipeline cost one round trip, on a connection that go-redis
// keeps for pipelines and opens for the first of them.
func TestRedisPipeline(t *testing.T) { netfake.Run(t, testRedisPipeline) }

func testRedisPipeline(t *testing.T, w *netfake.World) {
	_, c := newRedis(t, w)
	start := w.Now()
	answers, err := c.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for range 100 {
			pipe.Incr(t.Context(), "counter")
		}
		return nil
	})
	must(t, err)
	for i, a := range answers {
		assert.Equal(t, a.(*redis.IntCmd).Val(), int64(i+1))
	}
	took(t, "the first pipeline", w, start, connecting+rtt)
}

func TestRedisSubscription(t *testing.T) { netfake.Run(t, testRedisSubscription) }

func testRedisSubscription(t *testing.T, w *netfake.World) {
	_, c := newRedis(t, w)
	took(t, "connecting, and the first command", w, 0, connecting+rtt)
	sub := c.Subscribe(t.Context(), "news")
	defer sub.Close()
	_, err := sub.Receive(t.Context())
	must(t, err)

	start := w.Now()
	for i := range 10 {
		must(t, c.Publish(t.Context(), "news", fmt.Sprint("item ", i)).Err())
		got, err := sub.ReceiveMessage(t.Context())
		must(t, err)
		assert.Equal(t, got.Payload, fmt.Sprint("item ", i))
	}
	took(t, "ten messages", w, start, 10*rtt)
}

// A command that waits at the server for an hour comes back after an hour.
func TestRedisBlockingCommand(t *testing.T) { netfake.Run(t, testRedisBlockingCommand) }

func testRedisBlockingCommand(t *testing.T, w *netfake.World) {
	_, c := newRedis(t, w)
	start := w.Now()
	_, err := c.BLPop(t.Context(), time.Hour, "jobs").Result()
	assert.Equal(t, err, error(redis.Nil))
	took(t, "waiting in vain", w, start, time.Hour+rtt)

	go func() {
		w.Sleep(time.Minute)
		c.RPush(t.Context(), "jobs", "a job")
	}()
	start = w.Now()
	got, err := c.BLPop(t.Context(), time.Hour, "jobs").Result()
	must(t, err)
	assert.Equal(t, got[1], "a job")
	took(t, "waiting for a job from a second connection", w, start, time.Minute+connecting+rtt)
}

// A read gives up after its timeout, to the nanosecond; the pool throws that
// connection away and works again once the link does.
func TestRedisReadTimeout(t *testing.T) { netfake.Run(t, testRedisReadTimeout) }

func testRedisReadTimeout(t *testing.T, w *netfake.World) {
	p, c := newRedis(t, w)
	undo := p.link.Partition()
	start := w.Now()
	if err := c.Ping(t.Context()).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline that is exceeded", err)
	}
	took(t, "the timeout", w, start, 3*time.Second)
	assert.Bit(t, p.link)

	undo.Undo()
	must(t, c.Ping(t.Context()).Err())
}

// Whoever finds all connections in use waits for one. This test runs in real time:
// go-redis keeps the timers of those who wait in a pool of the whole package, and a timer
// of one bubble must not be used in another. The other tests never exhaust the pool.
func TestRedisFullPool(t *testing.T) {
	p := newPair(netfake.New(t, netfake.Config{Instant: true}), "tcp/6379")
	serveRedis(t, p.listen(t, ":6379"))
	c := dialRedis(t, p, 1)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 50 {
				if err := c.Incr(t.Context(), "counter").Err(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	got, err := c.Get(t.Context(), "counter").Int()
	must(t, err)
	assert.Equal(t, got, 400)
	assert.Equal(t, c.PoolStats().TotalConns, 1)
	assert.Equal(t, c.PoolStats().WaitCount > 0, true)
}

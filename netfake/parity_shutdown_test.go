package netfake

import (
	"io"
	"testing"
)

func TestParityShutdown(t *testing.T) { checkParity(t, parityShutdown) }

// What is left of a connection when one direction, or both, are shut down.
var parityShutdown = []parityCase{
	{name: "half-close: the other direction goes on", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("question"))
		s.tell("CloseWrite", c.CloseWrite())
		b, err := io.ReadAll(a)
		s.tell("the server reads", string(b), err)
		s.write("a write after CloseWrite", c, "x")
		a.Write([]byte("answer"))
		a.Close()
		b, err = io.ReadAll(c)
		s.tell("the client reads", string(b), err)
	}},
	{name: "CloseWrite twice", do: func(s *scene) {
		c, a := s.pair()
		s.tell("CloseWrite", c.CloseWrite())
		s.tell("again", c.CloseWrite())
		s.read("the server's read", a, 1)
		s.tell("the server's", a.CloseWrite())
		s.read("the client's read", c, 1)
	}},
	{name: "CloseWrite on both ends, and once more", do: func(s *scene) {
		c, a := s.pair()
		c.CloseWrite()
		s.read("the server's read", a, 1)
		a.CloseWrite()
		s.read("the client's read", c, 1)
		s.settle()
		s.tell("the server's CloseWrite, when all is over", a.CloseWrite())
		s.tell("Close", c.Close(), a.Close())
	}},
	{name: "CloseRead ends reading", do: func(s *scene) {
		c, _ := s.pair()
		s.tell("CloseRead", c.CloseRead())
		s.read("a read", c, 1)
		s.tell("CloseRead again", c.CloseRead())
	}},
	{name: "CloseRead with something unread", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("text"))
		s.readable(a)
		s.tell("CloseRead", a.CloseRead())
		s.read("a read", a, 2)
		s.read("the rest", a, 9)
		s.read("the end", a, 9)
	}},
	{name: "CloseRead wakes a read", do: func(s *scene) {
		c, _ := s.pair()
		got := started(func() error { _, err := c.Read(make([]byte, 1)); return err })
		c.CloseRead()
		s.tell("the read", <-got)
	}},
	{name: "CloseRead: writing goes on", do: func(s *scene) {
		c, a := s.pair()
		c.CloseRead()
		s.write("a write", c, "text")
		s.read("the server's read", a, 9)
	}},
	{name: "shutting down what was reset", do: func(s *scene) {
		c, a := s.pair()
		a.SetLinger(0)
		a.Close()
		s.settle()
		s.tell("CloseWrite", c.CloseWrite())
		s.tell("CloseRead", c.CloseRead())
		s.tell("SetNoDelay", c.SetNoDelay(true))
		s.tell("SetDeadline", c.SetDeadline(later()))
		s.tell("Close", c.Close())
	}},
	{name: "what comes after CloseRead is there all the same", do: func(s *scene) {
		c, a := s.pair()
		c.CloseRead()
		a.Write([]byte("text"))
		s.readable(c)
		s.read("a read", c, 9)
		s.read("another", c, 9)
		s.write("a write", c, "back")
		s.read("the server's read", a, 9)
		c.Close()
		s.read("the end", a, 9)
	}},
	{name: "what comes after CloseRead and is not read costs a reset", do: func(s *scene) {
		c, a := s.pair()
		c.CloseRead()
		a.Write([]byte("text"))
		s.settle()
		c.Close()
		s.settle()
		s.read("the server's read", a, 9)
		s.write("its write", a, "x")
	}},
	{name: "what comes when both directions are shut down", do: func(s *scene) {
		c, a := s.pair()
		c.CloseRead()
		c.CloseWrite()
		s.read("the server's read", a, 1)
		s.write("its write", a, "x")
		s.settle()
		s.write("the next", a, "x")
		s.read("the client's read", c, 1)
		s.tell("CloseRead", c.CloseRead())
		s.tell("Close", c.Close())
	}},
	{name: "nothing comes when both directions are shut down", do: func(s *scene) {
		c, a := s.pair()
		c.CloseRead()
		c.CloseWrite()
		s.read("the server's read", a, 1)
		s.tell("the server's Close", a.Close())
		s.settle()
		s.read("the client's read", c, 1)
		s.tell("Close", c.Close())
	}},
	{name: "a write to one who reads no more", do: func(s *scene) {
		c, a := s.pair()
		a.CloseRead()
		s.write("one", c, "x")
		s.settle()
		s.write("another", c, "x")
		a.Close()
		s.settle()
		s.write("when he has closed", c, "x")
		s.write("once more", c, "x")
		s.read("a read", c, 2)
	}},
	{name: "a RST after CloseRead", do: func(s *scene) {
		c, a := s.pair()
		c.CloseRead()
		a.SetLinger(0)
		a.Close()
		s.settle()
		s.read("a read", c, 1)
		s.write("a write", c, "x")
		s.write("another", c, "x")
	}},
	{name: "CloseWrite, and then a reset", do: func(s *scene) {
		c, a := s.pair()
		c.Write([]byte("text"))
		c.CloseWrite()
		s.settle()
		c.SetLinger(0)
		s.tell("Close", c.Close())
		s.settle()
		s.read("the text", a, 9)
		s.read("the end", a, 9)
		s.tell("CloseRead", a.CloseRead())
		s.write("a write", a, "x")
		s.write("another", a, "x")
		s.tell("Close", a.Close())
	}},
	{name: "options of what is shut down", do: func(s *scene) {
		c, a := s.pair()
		a.Close()
		s.read("the end", c, 1)
		c.CloseWrite()
		s.settle()
		s.tell("SetNoDelay", c.SetNoDelay(false))
		s.tell("SetKeepAlive", c.SetKeepAlive(true))
		s.tell("SetLinger", c.SetLinger(3))
		s.tell("SetReadBuffer", c.SetReadBuffer(1))
		s.tell("SetDeadline", c.SetDeadline(past))
		s.read("a read", c, 1)
		s.write("a write", c, "x")
	}},
}

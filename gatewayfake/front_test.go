package gatewayfake_test

import (
	"net"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// openFront launches an instance with an elastic IP in the public subnet, which takes whatever
// comes and sends whatever it likes, and returns its group as well.
func (x *world) openFront() (*fabricfake.Instance, *gatewayfake.ElasticIP, *fabricfake.SecurityGroup) {
	open := x.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
	front := x.public.Instance("front", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
	eip := gatewayfake.NewElasticIP(x.vpc)
	eip.Associate(front.Interface())
	return front, eip, open
}

// joined opens a connection to a port of a server, which listens there, and returns both ends.
func joined(t *testing.T, client, server *netfake.Host, port uint16) (c, s net.Conn) {
	t.Helper()
	at := server.TCP(port).Addr
	l, err := server.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	if c, err = client.Dial("tcp", at.String()); err != nil {
		t.Fatal(err)
	}
	if s, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return c, s
}

package gatewayfake_test

import (
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
)

// Without a VPC there is no test to fail: builders panic, and say whose fault it is.
func TestNoVPC(t *testing.T) {
	for what, build := range map[string]func(){
		"gatewayfake: NewInternetGateway of no VPC": func() { gatewayfake.NewInternetGateway(nil, "igw") },
		"gatewayfake: NewElasticIP of no VPC":       func() { gatewayfake.NewElasticIP(nil) },
		"gatewayfake: NewNATGateway of no subnet":   func() { gatewayfake.NewNATGateway(nil, "nat", nil) },
		"fabricfake: NewEdge of no VPC":             func() { fabricfake.NewEdge(nil, "edge", nil) },
	} {
		func() {
			defer func() {
				if got := recover(); got != what {
					t.Errorf("got %v, want %s", got, what)
				}
			}()
			build()
		}()
	}
}

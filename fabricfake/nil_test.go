package fabricfake_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// furnished returns one of everything that a test's author calls methods of, in a world.
func furnished(w *netfake.World) []any {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
	r := v.Region()
	s := v.Subnet("s", "10.0.1.0/24", "a")
	i, f, target := s.Instance("i", fabricfake.InstanceConfig{}), s.Interface("f", fabricfake.InterfaceConfig{}), s.Interface("target", fabricfake.InterfaceConfig{})
	target.Attach(i)
	rack := r.Rack("rack", "a")
	return []any{
		v, r, s, i, f, rack, rack.PhysicalHost("host"), r.Zone("a"), r.Mapping(), v.SecurityGroup("group"), v.NetworkACL("acl"), v.RouteTable("table"),
		r.PrefixList("list", 2, "10.9.0.0/16"), r.PlacementGroup("placement", fabricfake.PlacementGroupConfig{}), fabricfake.NewEdge(v, "edge", swallow{}),
		v.FlowLog("log", fabricfake.FlowLogConfig{}), i.Interface().Mirror("mirror", fabricfake.MirrorConfig{Target: target}),
	}
}

// methods walks the exported methods of what furnished returns, but for those of hosts and
// those that take packets, which the fabric calls.
func methods(t *testing.T, visit func(one any, m reflect.Method)) {
	t.Helper()
	ofHost, packet := reflect.TypeFor[*netfake.Host](), reflect.TypeFor[*netfake.Packet]()
	for _, one := range furnished(netfake.New(t, netfake.Config{Instant: true})) {
		typ := reflect.TypeOf(one)
	next:
		for n := range typ.NumMethod() {
			m := typ.Method(n)
			if _, ok := ofHost.MethodByName(m.Name); ok && typ == reflect.TypeFor[*fabricfake.Instance]() {
				continue
			}
			for a := range m.Type.NumIn() {
				if m.Type.In(a) == packet {
					continue next
				}
			}
			visit(one, m)
		}
	}
}

// words are what stands for strings: of them at least one is right for each.
var words = []string{"x", "10.0.99.0/24", "tcp/80", "a"}

// nothing returns arguments that are nil where they can be, and otherwise zero. Pick chooses
// among the words, and which of the nils of an interface it is; there are so many picks.
func nothing(m reflect.Method, pick int) (args []reflect.Value, picks int) {
	picks = 1
	choose := func(n int) (k int) {
		k, pick, picks = pick%n, pick/n, picks*n
		return k
	}
	for a := 1; a < m.Type.NumIn(); a++ {
		in := m.Type.In(a)
		if m.Type.IsVariadic() && a == m.Type.NumIn()-1 {
			in = in.Elem()
		}
		arg := reflect.New(in).Elem()
		switch {
		case in.Kind() == reflect.String:
			arg.SetString(words[choose(len(words))])
		case in.Kind() == reflect.Int:
			arg.SetInt(1)
		case in.Kind() == reflect.Interface:
			nils := []reflect.Value{arg}
			for _, one := range []any{(*fabricfake.SecurityGroup)(nil), (*fabricfake.PrefixList)(nil), (*fabricfake.Interface)(nil), (*fabricfake.Instance)(nil)} {
				if v := reflect.ValueOf(one); v.Type().Implements(in) {
					nils = append(nils, v)
				}
			}
			arg = nils[choose(len(nils))]
		}
		args = append(args, arg)
	}
	return args, picks
}

// takesNil reports whether a method takes something that could be nil and must not.
func takesNil(m reflect.Method) bool {
	if slices.Contains([]string{"Forward", "SetUplink"}, m.Name) {
		return false // which nil takes back
	}
	for a := 1; a < m.Type.NumIn(); a++ {
		if k := m.Type.In(a).Kind(); k == reflect.Pointer || k == reflect.Interface {
			return true
		}
	}
	return false
}

// What is nil fails the test, and never panics, whatever else the method is given.
func TestNilArguments(t *testing.T) {
	refused := 0
	methods(t, func(one any, m reflect.Method) {
		for pick, picks := 0, 1; pick < picks; pick++ {
			var args []reflect.Value
			args, picks = nothing(m, pick)
			var panicked any
			failure := faketb.Fatal(t, func(tb *faketb.TB) {
				all := furnished(netfake.New(tb, netfake.Config{Instant: true}))
				at := slices.IndexFunc(all, func(o any) bool { return reflect.TypeOf(o) == reflect.TypeOf(one) })
				defer func() { panicked = recover() }()
				m.Func.Call(append([]reflect.Value{reflect.ValueOf(all[at])}, args...))
			})
			if panicked != nil {
				t.Errorf("%T.%s%v panics: %v", one, m.Name, args, panicked)
			}
			if takesNil(m) {
				refused++
				if !strings.HasPrefix(failure, "fabricfake: ") {
					t.Errorf("%T.%s%v takes nil, or fails with %q", one, m.Name, args, failure)
				}
			}
		}
	})
	if refused < 50 {
		t.Errorf("only %d calls with something that is nil", refused)
	}
}

// A nil receiver has no test to fail: what would make or change something panics, and says
// what is nil.
func TestNilReceivers(t *testing.T) {
	methods(t, func(one any, m reflect.Method) {
		args, _ := nothing(m, 0)
		panicked := func() (p any) {
			defer func() { p = recover() }()
			m.Func.Call(append([]reflect.Value{reflect.Zero(reflect.TypeOf(one))}, args...))
			return nil
		}()
		want := fmt.Sprintf("fabricfake: a method of a nil *%s", reflect.TypeOf(one).Elem().Name())
		if !asks(m) && fmt.Sprint(panicked) != want {
			t.Errorf("%T.%s panics with %v, want %s", one, m.Name, panicked, want)
		}
	})
}

// asks reports whether a method does nothing but to tell something. Its panic is the
// runtime's.
func asks(m reflect.Method) bool {
	if slices.Contains([]string{"Contains", "FromEdge", "HasElasticIP", "LookupHostname", "Public", "PublicIPOf", "PublicOwner", "ZoneID"}, m.Name) {
		return true
	}
	changes := m.Type.NumIn() > 1 || m.Type.NumOut() == 0 || m.Type.Out(0) == m.Type.In(0) || m.Type.Out(0) == reflect.TypeFor[*netfake.Fault]()
	return !changes
}

func TestNilWorlds(t *testing.T) {
	for want, f := range map[string]func(){
		"fabricfake: NewVPC of no world":           func() { fabricfake.NewVPC(nil, "prod", "10.0.0.0/16") },
		"fabricfake: NewRegion of no world":        func() { fabricfake.NewRegion(nil, "eu-central-1", netfake.Frankfurt) },
		"fabricfake: DefaultRegion of no world":    func() { fabricfake.DefaultRegion(nil) },
		"fabricfake: AllocatePublicIP of no world": func() { fabricfake.AllocatePublicIP(nil) },
		"fabricfake: NewDefaultVPC of no region":   func() { fabricfake.NewDefaultVPC(nil) },
		"fabricfake: NewEdge of no VPC":            func() { fabricfake.NewEdge(nil, "edge", swallow{}) },
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("got %v, want %s", got, want)
				}
			}()
			f()
		}()
	}
}

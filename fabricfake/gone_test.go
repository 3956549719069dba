package fabricfake_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// What was deleted or terminated can be asked, and nothing else can be done with it: each call
// is let through for the one that is there and refused for the one that has gone.
func TestGone(t *testing.T) {
	addr := netip.MustParseAddr("203.0.113.9")
	none := fabricfake.FlowLogConfig{}
	onInterface, onInstance, onVPC := "InvalidNetworkInterfaceID.NotFound: ", "IncorrectInstanceState: ", "InvalidVpcID.NotFound: vpc "
	for _, row := range []struct {
		name string
		do   func(x *goner)
		want string
	}{
		// Interfaces.
		{"a flow log", func(x *goner) { x.spare.FlowLog("log", none) }, onInterface + "spare is deleted"},
		{"a mirror of it", func(x *goner) { x.spare.Mirror("mirror", fabricfake.MirrorConfig{Target: x.app.Interface()}) }, onInterface + "spare is deleted"},
		{"a mirror to it", func(x *goner) { x.app.Interface().Mirror("mirror", fabricfake.MirrorConfig{Target: x.spare}) }, onInterface + "spare is deleted"},
		{"a public address", func(x *goner) { x.spare.SetPublicIP(addr) }, onInterface},
		{"one of another address", func(x *goner) { x.spare.SetPublicIPOf(x.spare.PrivateIP(), addr) }, onInterface},
		{"tracking", func(x *goner) { x.spare.TrackConnections() }, onInterface},
		{"an address", func(x *goner) { x.spare.AssignPrivateIP("") }, onInterface},
		{"groups", func(x *goner) { x.spare.SetGroups(fabricfake.Groups{x.spare.VPC().DefaultSecurityGroup()}) }, onInterface},
		{"an instance", func(x *goner) { x.spare.Attach(x.app) }, onInterface},
		{"an instance with it", func(x *goner) { x.subnet.Instance("heir", fabricfake.InstanceConfig{Interface: x.spare}) }, onInterface},
		{"a route to it", func(x *goner) { x.subnet.Route("172.16.0.0/16", x.backup) }, "InvalidParameterValue: backup is not attached"},

		// Instances.
		{"a node", func(x *goner) { x.old.Forward(&sink{}) }, onInstance + "old is terminated"},
		{"an allowance", func(x *goner) { x.old.SetConntrackAllowance(5) }, onInstance + "old is terminated"},
		{"metadata options", func(x *goner) { x.old.SetMetadataOptions(fabricfake.MetadataOptions{}) }, onInstance + "old is terminated"},
		{"a reboot", func(x *goner) { x.old.Reboot() }, onInstance},
		{"an interface", func(x *goner) { x.subnet.Interface("more", fabricfake.InterfaceConfig{}).Attach(x.old) }, onInstance},
		{"a route", func(x *goner) { x.subnet.Route("172.16.0.0/16", x.old) }, "InvalidParameterValue: old is not attached"},

		// A VPC, of which there is more in TestDeleteVPC.
		{"propagated routes", func(x *goner) { fabricfake.NewPropagation(x.vpc, fabricfake.Local) }, onVPC},
		{"an edge to the internet", func(x *goner) { fabricfake.NewPublicEdge(x.vpc, "edge", swallow{}) }, onVPC},
	} {
		if text := fatal(t, func(w *netfake.World) { row.do(newGoner(w)) }); text != "" {
			t.Errorf("%s before: %q", row.name, text)
		}
		text := fatal(t, func(w *netfake.World) {
			x := newGoner(w)
			x.spare.Delete()
			x.backup.Detach()
			x.backup.Delete()
			x.old.ForceTerminate()
			x.vpc.Delete()
			row.do(x)
		})
		if !strings.Contains(text, row.want) {
			t.Errorf("%s: %q, want %q", row.name, text, row.want)
		}
	}
}

// Who mirrors at the very instant at which the interface goes is refused, whoever of the two
// comes first.
func TestMirrorAtTheLastInstant(t *testing.T) {
	for _, row := range []struct {
		after time.Duration // what remains of the shutdown
		want  string
	}{
		{time.Nanosecond, ""},
		{0, "InvalidNetworkInterfaceID.NotFound: old is deleted"},
	} {
		for range 20 {
			var text string
			netfake.Run(t, func(t *testing.T, _ *netfake.World) {
				text = faketb.Fatal(t, func(tb *faketb.TB) {
					w := netfake.New(tb, netfake.Config{})
					s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
					app := s.Instance("app", fabricfake.InstanceConfig{})
					old := s.Instance("old", fabricfake.InstanceConfig{ShutdownTime: time.Second})
					old.Terminate()
					time.Sleep(time.Second - row.after)
					old.Interface().Mirror("mirror", fabricfake.MirrorConfig{Target: app.Interface()})
				})
			})
			if (text == "") != (row.want == "") || !strings.Contains(text, row.want) {
				t.Fatalf("%v before: %q, want %q", row.after, text, row.want)
			}
		}
	}
}

// goner is what TestGone has go, beside what stays.
type goner struct {
	app, old      *fabricfake.Instance
	spare, backup *fabricfake.Interface // of nobody, and attached to app
	subnet        *fabricfake.Subnet
	vpc           *fabricfake.VPC // another one, with nothing in it
}

func newGoner(w *netfake.World) *goner {
	s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
	x := &goner{
		app: s.Instance("app", fabricfake.InstanceConfig{}), old: s.Instance("old", fabricfake.InstanceConfig{}), subnet: s,
		spare: s.Interface("spare", fabricfake.InterfaceConfig{}), backup: s.Interface("backup", fabricfake.InterfaceConfig{}),
		vpc: fabricfake.NewVPC(w, "empty", "10.1.0.0/16"),
	}
	x.backup.Attach(x.app)
	return x
}

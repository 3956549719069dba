package fabricfake

import (
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Forward has an instance's primary interface send on what comes to it, as the kernel of a
// router would.
func Forward(i *Instance) {
	i.World().Do(func(time.Duration) { i.iface.guest = forwarder{i.iface} })
}

// forwarder is a guest that lets everything pass.
type forwarder struct{ *Interface }

func (f forwarder) Step(p *netfake.Packet) netfake.Next { return p.To(f.Out()) }

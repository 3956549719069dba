package fabricfake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A database admits the application and nobody else: by its security group, which names
// the application's.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	vpc := fabricfake.NewVPC(w, "shop", "10.0.0.0/16")
	front := vpc.Subnet("front", "10.0.1.0/24", "a")
	data := vpc.Subnet("data", "10.0.2.0/24", "b")

	appGroup := vpc.SecurityGroup("app")
	dbGroup := vpc.SecurityGroup("db").AllowIngress("tcp/5432", appGroup)
	app := front.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{appGroup}})
	other := front.Instance("other", fabricfake.InstanceConfig{})
	db := data.Instance("db", fabricfake.InstanceConfig{Groups: fabricfake.Groups{dbGroup}})
	if _, err := db.Listen("tcp", ":5432"); err != nil {
		t.Fatal(err)
	}

	c, err := app.Dial("tcp", db.TCP(5432).Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := other.DialContext(ctx, "tcp", db.TCP(5432).Addr.String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the other one sees %v, want silence", err)
	}
	if b := other.Probe(db.TCP(5432)).Blocker(); b == nil || b.By != dbGroup {
		t.Errorf("to blame is %+v, want the database's group", b)
	}
}

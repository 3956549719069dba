package lbfake

import "testing"

// Without a VPC there is no test to fail: builders panic, and say whose fault it is.
func TestNoVPC(t *testing.T) {
	for what, build := range map[string]func(){
		"lbfake: NewApplication of no VPC": func() { NewApplication(nil, "web", ApplicationConfig{}) },
		"lbfake: NewTargetGroup of no VPC": func() { NewTargetGroup(nil, "web", TargetGroupConfig{}) },
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

package inventory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/musterhq/muster/inventory"
)

func FuzzTargets(f *testing.F) {
	for _, s := range []string{
		"127.1.[0-255].[1-250]:8080", "10.0.0.0/16", "10.0.0.0/16:9100", "10.0.0.1-10.0.3.255", "[2001:db8::1]:443", "2001:db8::/120",
		"web[01-40].example.com:8080", "https://web[1-9]:8443/health?x=1,2 web3", "@group", "@last:reason='x y'", "a!b&c^d", "web*", "n[0-6/3]5",
		"[::1]:[80-82]", "[2001:db8::/120]:443", "fe80::1%eth0", "n[1-9]!n[3-4],n[2-5]", "bücher.example.", "10.0.0.0/8!10.0.[0-255].5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, set string) {
		g := groups{"group": "web[1-3],x:80", "a": "a[1-5]"}
		begun := time.Now()
		list, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{set}, Resolver: g})
		if d := time.Since(begun); d > 2*time.Second {
			t.Fatalf("%q took %v: %v", set, d, err)
		}
		if err != nil {
			return
		}
		defer list.Close()
		seen := map[string]bool{}
		for i := range min(list.Len(), 5000) {
			x, err := list.At(i)
			if err != nil {
				t.Fatalf("%q: target %d: %v", set, i, err)
			}
			if seen[x.ID] || x.Index != i || x.Host == "" {
				t.Fatalf("%q: target %d is %+v, a duplicate: %v", set, i, x, seen[x.ID])
			}
			seen[x.ID] = true
		}
		if x, err := list.At(list.Len() - 1); err != nil || x.ID == "" {
			t.Fatalf("%q: the last target: %+v, %v", set, x, err)
		}
		readBack(t, set, list)
	})
}

// readBack reads the ids as terms again: they must name the same targets.
func readBack(t *testing.T, set string, list *inventory.Frozen) {
	for i := range min(list.Len(), 20) {
		x, _ := list.At(i)
		again, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{x.ID}})
		if err != nil {
			t.Fatalf("%q: the id %q is no target: %v", set, x.ID, err)
		}
		y, err := again.At(0)
		if again.Len() != 1 || err != nil || y.ID != x.ID || y.Host != x.Host || y.Port != x.Port || y.Path != x.Path || y.Addr != x.Addr {
			t.Fatalf("%q: %q means\n%+v and then\n%+v", set, x.ID, x, y)
		}
		if err := errors.Join(err, again.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

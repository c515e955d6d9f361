package inventory_test

import (
	"testing"

	"github.com/musterhq/muster/inventory"
)

func BenchmarkAt(b *testing.B) {
	for name, set := range map[string]string{
		"pattern": "127.1.[0-255].[1-250]:8080",
		"prefix":  "10.0.0.0/8",
		"holes":   "10.0.0.0/8!10.[0-255].[0-255].5",
		"names":   "web[00001-90000].example.com:8080",
		"url":     "https://web[1-90000]/health?x=1",
		"ipv6":    "[2001:db8::/100]:443",
	} {
		b.Run(name, func(b *testing.B) {
			list := freeze(b, inventory.Query{Sets: []string{set}})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := list.At(i); err != nil {
					b.Fatal(err)
				}
				if i += 7919; i >= list.Len() {
					i -= list.Len()
				}
			}
		})
	}
}

func BenchmarkFreezePrefix(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		list, err := inventory.Freeze(b.Context(), inventory.Query{Sets: []string{"10.0.0.0/8"}})
		if err != nil || list.Close() != nil {
			b.Fatal(err)
		}
	}
}

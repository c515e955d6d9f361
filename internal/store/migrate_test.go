package store

import (
	"context"
	"sync"
	"testing"
)

// Many first commands at once make one store.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			s, err := Open(context.Background(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Begin(context.Background(), testJob(i), rangeList{n: 3}); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := openTest(t, cfg)
	if n := count(t, s, "job"); n != 6 {
		t.Errorf("%d jobs", n)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	texts, err := migrations()
	if err != nil || len(texts) == 0 {
		t.Fatalf("%d scripts, %v", len(texts), err)
	}
	s := openTest(t, testConfig(t))
	if have, err := schemaVersion(t.Context(), s.read); err != nil || have != len(texts) {
		t.Errorf("schema %d, want %d: %v", have, len(texts), err)
	}
	var mode, vacuum string
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA auto_vacuum").Scan(&vacuum); err != nil || vacuum != "2" {
		t.Errorf("auto vacuum %q, %v", vacuum, err)
	}
}

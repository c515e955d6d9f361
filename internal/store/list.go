package store

import (
	"container/list"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/musterhq/muster"
)

// storedList is a frozen list in the store.
type storedList struct {
	s    *Store
	num  int64
	len  int
	hash [32]byte
}

var _ muster.List = (*storedList)(nil)

// Len returns the number of targets.
func (l *storedList) Len() int { return l.len }

// Hash identifies the content and order of the list.
func (l *storedList) Hash() [32]byte { return l.hash }

// At returns target i; an error is the row's own defect, or of kind
// [muster.KindUnavailable] when the store cannot be read.
func (l *storedList) At(i int) (muster.Target, error) {
	c, err := l.chunk(context.Background(), i/chunkTargets)
	if err != nil {
		return muster.Target{Index: i}, err
	}
	row := i % chunkTargets
	k := c.cursor(row)
	t := muster.Target{Index: i}
	for n := row / chunkRestart * chunkRestart; n < row; n++ {
		if _, err := k.next(nil); err != nil {
			return t, l.damaged(i, err)
		}
	}
	defect, err := k.next(&t)
	if err != nil {
		return muster.Target{Index: i}, l.damaged(i, err)
	}
	return t, defect
}

func (l *storedList) damaged(i int, err error) error {
	return l.s.failed("read", fmt.Errorf("target %d of list %d: %w", i, l.num, err))
}

func (l *storedList) chunk(ctx context.Context, n int) (*listChunk, error) {
	key := partKey(l.num, n)
	if c := l.s.cache.get(key); c != nil {
		return c, nil
	}
	var packed []byte
	err := l.s.read.QueryRowContext(ctx, sqlChunk, key).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, muster.Errorf(muster.KindNotFound, "list %d: its job was deleted", l.num)
	}
	if err != nil {
		return nil, l.s.failed("read", err)
	}
	c, err := l.s.p.openChunk(packed)
	if err == nil && c.rows != min(chunkTargets, l.len-n*chunkTargets) {
		err = errCorrupt
	}
	if err != nil {
		return nil, l.damaged(n*chunkTargets, err)
	}
	l.s.cache.put(key, c)
	return c, nil
}

// idReader finds the ids of targets, cheaply for neighbours.
type idReader struct {
	l     muster.List
	block int // of ids, or -1
	ids   [chunkRestart]string
}

func newIDReader(l muster.List) *idReader { return &idReader{l: l, block: -1} }

func (r *idReader) id(ctx context.Context, i int) (string, error) {
	l, ok := r.l.(*storedList)
	if !ok {
		t, _ := r.l.At(i) // the defect of a row was its result's business
		return t.ID, nil
	}
	if i/chunkRestart == r.block {
		return r.ids[i%chunkRestart], nil
	}
	c, err := l.chunk(ctx, i/chunkTargets)
	if err != nil {
		return "", err
	}
	first := i % chunkTargets / chunkRestart * chunkRestart
	k := c.cursor(first)
	for n := range min(chunkRestart, c.rows-first) {
		if _, err := k.next(nil); err != nil {
			return "", l.damaged(i, err)
		}
		r.ids[n] = string(k.id)
	}
	r.block = i / chunkRestart
	return r.ids[i%chunkRestart], nil
}

// loadList returns list num: computed again from its recipe, or read on demand.
func (s *Store) loadList(ctx context.Context, num int64) (muster.List, error) {
	var hash, recipe []byte
	l := &storedList{s: s, num: num}
	var buckets int
	err := s.read.QueryRowContext(ctx, sqlList, num).Scan(&hash, &l.len, &recipe, &buckets)
	if err != nil {
		return nil, s.failed("read list from", err)
	}
	if len(hash) != len(l.hash) {
		return nil, s.failed("read list from", errCorrupt)
	}
	l.hash = [32]byte(hash)
	if recipe == nil {
		return l, nil
	}
	if s.cfg.Rebuild == nil {
		return nil, muster.Errorf(muster.KindUnavailable, "list %d is stored as a recipe, and nothing here can rebuild it", num)
	}
	r, err := s.cfg.Rebuild(slices.Clone(recipe))
	if err != nil {
		return nil, fmt.Errorf("rebuild list %d: %w", num, err)
	}
	if r.Hash() != l.hash || r.Len() != l.len {
		return nil, muster.Errorf(muster.KindUnavailable, "rebuild list %d: its recipe makes a different list now", num)
	}
	return r, nil
}

// cacheBytes bounds the unpacked chunks that a store keeps: about two million targets.
const cacheBytes = 64 << 20

// chunkCache keeps the chunks used last.
type chunkCache struct {
	mu    sync.Mutex
	size  int
	order *list.List // of *cached, the last used in front
	at    map[int64]*list.Element
}

type cached struct {
	key   int64
	chunk *listChunk
}

func newChunkCache() *chunkCache {
	return &chunkCache{order: list.New(), at: map[int64]*list.Element{}}
}

func (c *chunkCache) get(key int64) *listChunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).chunk
}

func (c *chunkCache) put(key int64, chunk *listChunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[key] != nil {
		return
	}
	c.at[key] = c.order.PushFront(&cached{key, chunk})
	c.size += chunk.size
	for c.size > cacheBytes && c.order.Len() > 1 {
		e := c.order.Back()
		old := c.order.Remove(e).(*cached)
		delete(c.at, old.key)
		c.size -= old.chunk.size
	}
}

package store

import (
	"context"
	"fmt"
	"sync"
)

// Kind names a sequence of identifiers.
type Kind string

// The sequences.
const (
	Alerts       Kind = "alert"
	Cases        Kind = "case"
	Runs         Kind = "run"
	Ledger       Kind = "ledger"
	Questions    Kind = "question"
	IndicatorIDs Kind = "indicator"
	TokenIDs     Kind = "token"
	OverrideIDs  Kind = "override"
	AlarmIDs     Kind = "alarm"
	RuleSetNos   Kind = "triage_rules"
	StormIDs     Kind = "storm"
	DecisionIDs  Kind = "decision"
)

// NextID takes the next identifier of a kind. Identifiers grow; none is given
// out twice, and those of a transaction that was rolled back may be missing.
func NextID(tx *Tx, kind Kind) (int64, error) {
	return tx.db.ids.next(tx, kind, ahead(kind))
}

// ahead is how many identifiers of a kind are reserved at once: the more a
// second there may be, the more. Those left at the end of the process are lost.
func ahead(kind Kind) int64 {
	switch kind {
	case Alerts, Runs:
		return 256
	case Ledger:
		return 16
	default:
		return 1
	}
}

// take reserves n identifiers and returns the first.
func take(tx *Tx, kind Kind, n int64) (int64, error) {
	var next int64
	err := tx.QueryRow(`INSERT INTO sequences (name, next) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET next = sequences.next + ? RETURNING next`,
		string(kind), n+1, n).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("take %d identifiers of kind %s: %w", n, kind, err)
	}
	return next - n, nil
}

// span is a range of identifiers that were reserved and not used yet.
type span struct{ next, end int64 }

func (s *span) take() (int64, bool) {
	if s.next >= s.end {
		return 0, false
	}
	s.next++
	return s.next - 1, true
}

// blocks are the identifiers that the writer holds in memory, so that a hot
// path does not touch the sequences table for each. They belong to the writer's
// goroutine. Spans taken in the open transaction are only lent until it commits.
type blocks struct {
	kept map[Kind]span
	lent map[Kind]span
}

func (b *blocks) next(tx *Tx, kind Kind, block int64) (int64, error) {
	for _, spans := range []map[Kind]span{b.lent, b.kept} {
		s := spans[kind]
		if id, ok := s.take(); ok {
			spans[kind] = s
			return id, nil
		}
	}
	first, err := take(tx, kind, block)
	if err != nil {
		return 0, err
	}
	if b.lent == nil {
		b.lent, b.kept = make(map[Kind]span), make(map[Kind]span)
	}
	b.lent[kind] = span{first + 1, first + block}
	return first, nil
}

// keep is called when the transaction is on disk.
func (b *blocks) keep() {
	for k, s := range b.lent {
		b.kept[k] = s
	}
	clear(b.lent)
}

// forget is called when the transaction was rolled back.
func (b *blocks) forget() { clear(b.lent) }

// IDs hands out identifiers outside of the writer, from blocks that are on disk
// as taken. It is safe for concurrent use.
type IDs struct {
	db    *DB
	kind  Kind
	block int64

	mu   sync.Mutex
	span span
}

// IDs returns an allocator that takes block identifiers at a time; those left
// when the process ends are never used.
func (d *DB) IDs(kind Kind, block int) *IDs {
	return &IDs{db: d, kind: kind, block: int64(max(block, 1))}
}

// Next returns an identifier that nobody else gets.
func (i *IDs) Next(ctx context.Context) (int64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id, ok := i.span.take(); ok {
		return id, nil
	}
	var first int64
	err := i.db.Write(ctx, func(tx *Tx) (err error) {
		first, err = take(tx, i.kind, i.block)
		return err
	})
	if err != nil {
		return 0, err
	}
	i.span = span{first + 1, first + i.block}
	return first, nil
}

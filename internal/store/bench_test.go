package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkGroupedRows inserts rows of 300 bytes, several a statement, in
// append order: what a journal does under load.
func BenchmarkGroupedRows(b *testing.B) {
	for _, rows := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprint(rows, " a statement"), func(b *testing.B) {
			var stats Commit
			batches := 0
			d := open(b, Options{OnCommit: func(c Commit) {
				batches++
				stats.Jobs += c.Jobs
				stats.Run += c.Run
				stats.Sync += c.Sync
			}})
			query := "INSERT INTO n (v, s) VALUES (?, ?)" + strings.Repeat(", (?, ?)", rows-1)
			body := strings.Repeat("x", 300)
			var done sync.WaitGroup
			b.ResetTimer()
			for i := 0; i < b.N; i += rows {
				done.Add(1)
				err := d.Submit(Job{
					Do: func(tx *Tx) error {
						args := make([]any, 0, 2*rows)
						for k := range rows {
							args = append(args, i+k, body)
						}
						_, err := tx.Exec(query, args...)
						return err
					},
					Done: func(err error) {
						if err != nil {
							b.Error(err)
						}
						done.Done()
					},
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			done.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(stats.Jobs)/float64(batches), "jobs/batch")
			b.ReportMetric(stats.Run.Seconds()/b.Elapsed().Seconds(), "running")
			b.ReportMetric(stats.Sync.Seconds()/b.Elapsed().Seconds(), "committing")
			b.ReportMetric((stats.Sync/time.Duration(batches)).Seconds()*1e3, "ms/commit")
		})
	}
}

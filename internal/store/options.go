package store

import "time"

// Options tunes a database. The zero value is right for a server.
type Options struct {
	Readers     int           // connections that read at the same time; 0 means 4
	Queue       int           // jobs that may wait for the writer; 0 means 8192
	BatchJobs   int           // jobs in one transaction at most; 0 means 4096
	BatchTime   time.Duration // a batch that ran this long takes no more jobs; 0 means 10 ms
	BusyTimeout time.Duration // how long another process may hold the file; 0 means 5 s
	// Refuse makes Submit answer fault.Transient when the queue is full. Without
	// it Submit waits until there is room.
	Refuse bool
	// OnCommit is told of every batch, on the writer's goroutine: for metrics. It
	// must not block. nil: nobody is told.
	OnCommit func(Commit)
}

// Commit is what one batch of the writer did.
type Commit struct {
	Jobs   int           // how many jobs it held
	Failed int           // how many of them failed by themselves
	Run    time.Duration // running their statements
	Sync   time.Duration // the commit, until it was on disk
	Err    error         // why the whole batch was lost; nil: it is on disk
}

func (o Options) filled() Options {
	fill(&o.Readers, 4)
	fill(&o.Queue, 8192)
	fill(&o.BatchJobs, 4096)
	fill(&o.BatchTime, 10*time.Millisecond)
	fill(&o.BusyTimeout, 5*time.Second)
	return o
}

func fill[T int | time.Duration](v *T, or T) {
	if *v <= 0 {
		*v = or
	}
}

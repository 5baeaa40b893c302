package ingest

import "sync"

// queue holds events between those who hear them and those who store them. It
// is bounded in bytes: a flood of large messages costs no more memory than one
// of small ones.
type queue struct {
	max int // bytes

	mu     sync.Mutex
	space  sync.Cond // there is room again, or nobody stores any more
	come   sync.Cond // there is something, or nothing will come any more
	events []event
	first  int // of events, the ones before it are taken
	bytes  int
	closed bool // nothing will come any more
	given  bool // up: nobody stores any more
}

// eventOverhead is what an event costs besides its bytes.
const eventOverhead = 128

func newQueue(maxBytes int) *queue {
	q := &queue{max: maxBytes}
	q.space.L, q.come.L = &q.mu, &q.mu
	return q
}

// put adds an event and waits for room; false: it was given up.
func (q *queue) put(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes >= q.max && !q.given {
		q.space.Wait()
	}
	return q.add(e)
}

// offer adds an event if there is room.
func (q *queue) offer(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes >= q.max {
		return false
	}
	return q.add(e)
}

func (q *queue) add(e event) bool {
	if q.given {
		return false
	}
	q.events = append(q.events, e)
	q.bytes += len(e.raw) + eventOverhead
	q.come.Signal()
	return true
}

// take gives what is there, at most n events of some bytes together, and waits
// until there is something. Nothing: it was closed, or given up, and is empty.
func (q *queue) take(n, bytes int) []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.len() == 0 && !q.closed && !q.given {
		q.come.Wait()
	}
	waiting := q.events[q.first:]
	size, i := 0, 0
	for i < len(waiting) && i < n && size < bytes {
		size += len(waiting[i].raw)
		i++
	}
	out := append([]event(nil), waiting[:i]...)
	clear(waiting[:i])
	if q.first += i; q.first > len(q.events)/2 {
		q.events = q.events[:copy(q.events, q.events[q.first:])]
		q.first = 0
	}
	q.bytes -= size + i*eventOverhead
	q.space.Broadcast()
	return out
}

// close says that nothing will come any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.come.Broadcast()
}

// giveUp says that nobody stores any more, and how many events that leaves.
func (q *queue) giveUp() (left int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left = q.len()
	q.given, q.events, q.first, q.bytes = true, nil, 0, 0
	q.space.Broadcast()
	q.come.Broadcast()
	return left
}

// waiting is how many events and bytes wait.
func (q *queue) waiting() (events, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.len(), q.bytes
}

func (q *queue) len() int { return len(q.events) - q.first }

package guard

import "time"

// window counts in the last size-1 widths of time, in buckets. What falls into
// the oldest bucket counts until all of the bucket has left, so it never counts
// too little.
type window struct {
	width   time.Duration
	size    int
	buckets []int32
	newest  int64 // number of the newest bucket since the epoch
	sum     int
}

func (w *window) number(at time.Time) int64 { return max(0, at.Unix()/int64(w.width/time.Second)) }

// move drops what is older than the window at a time. A clock that goes back
// moves nothing.
func (w *window) move(at time.Time) {
	now := w.number(at)
	if now <= w.newest {
		return
	}
	if w.buckets == nil || now-w.newest >= int64(w.size) {
		clear(w.buckets)
		w.sum, w.newest = 0, now
		return
	}
	for n := w.newest + 1; n <= now; n++ {
		i := n % int64(w.size)
		w.sum -= int(w.buckets[i])
		w.buckets[i] = 0
	}
	w.newest = now
}

// add counts n at a time; a negative n takes back what was added at that time.
func (w *window) add(at time.Time, n int) {
	if w.buckets == nil {
		if n <= 0 {
			return
		}
		w.buckets = make([]int32, w.size)
	}
	w.move(at)
	number, oldest := w.number(at), w.newest-int64(w.size)+1
	if number < oldest {
		if n < 0 {
			return // it has left the window
		}
		// The clock went back. What is added then counts until the clock is again
		// where it was, rather than not at all.
		number = max(0, oldest)
	}
	i := number % int64(w.size)
	if w.buckets[i]+int32(n) < 0 {
		n = -int(w.buckets[i])
	}
	w.buckets[i] += int32(n)
	w.sum += n
}

// has tells whether what was added at a time still counts.
func (w *window) has(at time.Time) bool { return w.number(at) > w.newest-int64(w.size) }

func (w *window) count(at time.Time) int {
	w.move(at)
	return w.sum
}

package engine

import (
	"container/heap"
	"time"
)

// fairQueue holds the tasks that could start but for a free place, and says
// which is next: tenants take turns, within a tenant its playbooks do, within a
// playbook the most severe run comes first, then the oldest task. A turn of a
// severe run costs its playbook less, so severe runs get more turns, but no
// playbook ever gets none.
//
// It is virtual-time fair queueing: whoever has been served least is next, and
// who comes back after a pause begins where the others are.
type fairQueue struct {
	tenants map[string]*tenantShare
	ready   shares  // tenants with something to do
	floor   float64 // used of the tenant served last
}

// weight is how many turns a run of a severity gets for one of severity 0.
var weight = [...]float64{0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 16}

// share is the account of a tenant or of a playbook.
type share struct {
	used  float64 // turns taken, each divided by its weight
	top   int     // severity of the best task: breaks ties
	index int     // in shares, -1 while there is nothing to do
	full  bool    // holds as many places as one may
	owner any     // *tenantShare or *playbookShare
}

type tenantShare struct {
	share
	playbooks map[string]*playbookShare
	ready     shares
	floor     float64 // used of the playbook served last
	running   int
}

type playbookShare struct {
	share
	tenant  *tenantShare
	leaves  []*leaf // that are not blocked and not empty, most severe first
	all     map[leafKey]*leaf
	running int
}

type leafKey struct {
	severity int
	conn     string
}

// leaf is a line of tasks of one playbook with one severity on one connection.
type leaf struct {
	key     leafKey
	book    *playbookShare
	conn    *conn
	tasks   taskList
	listed  bool // in book.leaves
	blocked bool // in conn.blocked
}

// shares is a heap: least used first, then the most severe.
type shares []*share

func (s shares) Len() int { return len(s) }
func (s shares) Less(i, j int) bool {
	if s[i].used != s[j].used {
		return s[i].used < s[j].used
	}
	return s[i].top > s[j].top
}
func (s shares) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}
func (s *shares) Push(x any) {
	sh := x.(*share)
	sh.index = len(*s)
	*s = append(*s, sh)
}
func (s *shares) Pop() any {
	old := *s
	sh := old[len(old)-1]
	sh.index = -1
	*s = old[:len(old)-1]
	return sh
}

// taskList is a queue of tasks, oldest first.
type taskList struct {
	items []*task
	head  int
}

func (l *taskList) len() int { return len(l.items) - l.head }

// first is the one that has waited longest; nil: none does.
func (l *taskList) first() *task {
	if l.len() == 0 {
		return nil
	}
	return l.items[l.head]
}

func (l *taskList) push(t *task) { l.items = append(l.items, t) }

func (l *taskList) pop() *task {
	t := l.items[l.head]
	l.items[l.head] = nil
	l.head++
	switch {
	case l.head == len(l.items):
		l.items, l.head = l.items[:0], 0
	case l.head > 64 && l.head*2 > len(l.items):
		n := copy(l.items, l.items[l.head:])
		clear(l.items[n:])
		l.items, l.head = l.items[:n], 0
	}
	return t
}

// pushFront puts a task back that was taken and could not start.
func (l *taskList) pushFront(t *task) {
	if l.head > 0 {
		l.head--
		l.items[l.head] = t
		return
	}
	l.items = append(l.items, nil)
	copy(l.items[1:], l.items)
	l.items[0] = t
}

func (l *taskList) remove(t *task) bool {
	for i := l.head; i < len(l.items); i++ {
		if l.items[i] == t {
			copy(l.items[i:], l.items[i+1:])
			l.items[len(l.items)-1] = nil
			l.items = l.items[:len(l.items)-1]
			return true
		}
	}
	return false
}

// account finds or opens the account of a playbook.
func (q *fairQueue) account(tenant, playbook string) *playbookShare {
	t := q.tenants[tenant]
	if t == nil {
		t = &tenantShare{playbooks: map[string]*playbookShare{}}
		t.index, t.owner = -1, t
		if q.tenants == nil {
			q.tenants = map[string]*tenantShare{}
		}
		q.tenants[tenant] = t
	}
	p := t.playbooks[playbook]
	if p == nil {
		p = &playbookShare{tenant: t, all: map[leafKey]*leaf{}}
		p.index, p.owner = -1, p
		t.playbooks[playbook] = p
	}
	return p
}

// leafOf finds or makes the line that a task stands in.
func (q *fairQueue) leafOf(t *task, c *conn) *leaf {
	k := leafKey{t.severity, c.name}
	l := t.book.all[k]
	if l == nil {
		l = &leaf{key: k, book: t.book, conn: c}
		t.book.all[k] = l
	}
	return l
}

// push puts a task in line; front where it had been taken out and could not start.
func (q *fairQueue) push(t *task, c *conn, front bool) {
	l := q.leafOf(t, c)
	if front {
		l.tasks.pushFront(t)
	} else {
		l.tasks.push(t)
	}
	t.leaf = l
	if !l.blocked {
		q.list(l)
	}
}

// list makes a line take part in the turns.
func (q *fairQueue) list(l *leaf) {
	if l.listed || l.tasks.len() == 0 {
		return
	}
	l.listed = true
	b := l.book
	i := 0
	for i < len(b.leaves) && b.leaves[i].key.severity >= l.key.severity {
		i++
	}
	b.leaves = append(b.leaves, nil)
	copy(b.leaves[i+1:], b.leaves[i:])
	b.leaves[i] = l
	q.fix(b)
}

// unlist takes a line out of the turns.
func (q *fairQueue) unlist(l *leaf) {
	if !l.listed {
		return
	}
	l.listed = false
	b := l.book
	for i := range b.leaves {
		if b.leaves[i] == l {
			b.leaves = append(b.leaves[:i], b.leaves[i+1:]...)
			break
		}
	}
	q.fix(b)
}

// fix puts a playbook and its tenant where they now belong in their heaps.
func (q *fairQueue) fix(b *playbookShare) {
	t := b.tenant
	in := len(b.leaves) > 0 && !b.full
	if len(b.leaves) > 0 {
		b.top = b.leaves[0].key.severity
	}
	if in && b.index < 0 {
		b.used = max(b.used, t.floor)
	}
	place(&t.ready, &b.share, in)
	in = len(t.ready) > 0 && !t.full
	if len(t.ready) > 0 {
		t.top = t.ready[0].top
	}
	if in && t.index < 0 {
		t.used = max(t.used, q.floor)
	}
	place(&q.ready, &t.share, in)
}

func place(h *shares, s *share, in bool) {
	switch {
	case in && s.index < 0:
		heap.Push(h, s)
	case in:
		heap.Fix(h, s.index)
	case s.index >= 0:
		heap.Remove(h, s.index)
	}
}

// next gives the line whose turn it is, nil if nobody waits.
func (q *fairQueue) next() *leaf {
	if len(q.ready) == 0 {
		return nil
	}
	t := q.ready[0].owner.(*tenantShare)
	return t.ready[0].owner.(*playbookShare).leaves[0]
}

// charge makes a playbook and its tenant pay for a turn.
func (q *fairQueue) charge(b *playbookShare, severity int) {
	cost := 1 / weight[severity]
	t := b.tenant
	b.used, t.used = max(b.used, t.floor), max(t.used, q.floor)
	t.floor, q.floor = b.used, t.used
	b.used += cost
	t.used += cost
	if b.index >= 0 {
		heap.Fix(&t.ready, b.index)
	}
	if t.index >= 0 {
		heap.Fix(&q.ready, t.index)
	}
}

// bucket is a token bucket; its clock may be turned back without harm.
type bucket struct {
	rate   float64 // tokens a second
	burst  float64
	tokens float64
	at     time.Time
}

// ready tells whether a token is there, and else how long it takes.
func (b *bucket) ready(now time.Time) (time.Duration, bool) {
	if b.rate <= 0 {
		return 0, true
	}
	if gone := now.Sub(b.at).Seconds(); gone > 0 {
		b.tokens = min(b.burst, b.tokens+gone*b.rate)
	}
	b.at = now
	if b.tokens >= 1 {
		return 0, true
	}
	return time.Duration((1-b.tokens)/b.rate*float64(time.Second)) + time.Millisecond, false
}

func (b *bucket) take() {
	if b.rate > 0 {
		b.tokens--
	}
}

package run

// Status is where a step or a run stands.
type Status string

// The statuses. Those from Succeeded on are final.
const (
	Pending   Status = "pending" // never reached
	Running   Status = "running"
	Waiting   Status = "waiting" // approval, ask, wait, rate, limit, child
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	TimedOut  Status = "timed_out"
	Denied    Status = "denied"
	Cancelled Status = "cancelled"
	Skipped   Status = "skipped"
)

// Final tells whether nothing more will happen.
func (s Status) Final() bool {
	return s != "" && s != Pending && s != Running && s != Waiting
}

// Err tells whether the status counts as an error.
func (s Status) Err() bool {
	return s == Failed || s == TimedOut || s == Denied
}

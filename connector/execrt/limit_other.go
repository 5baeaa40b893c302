//go:build !linux

package execrt

// limitSelf has nothing to limit with; the collector's own limit and the step
// limit hold.
func limitSelf(int64) {}

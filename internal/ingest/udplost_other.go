//go:build !linux

package ingest

import "net"

// missedDatagrams cannot be told on this system.
func missedDatagrams(*net.UDPConn) int64 { return 0 }

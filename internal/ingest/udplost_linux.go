package ingest

import (
	"bufio"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// missedDatagrams is how many datagrams the system has dropped at a port for
// want of room, since it was opened; 0 where it cannot be told. The tables of
// /proc/net have a line for each port, with its inode in the tenth field and the
// drops in the last.
func missedDatagrams(c *net.UDPConn) int64 {
	inode := inodeOf(c)
	if inode == "" {
		return 0
	}
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		drops, found := dropsOf(bufio.NewScanner(f), inode)
		_ = f.Close()
		if found {
			return drops
		}
	}
	return 0
}

func dropsOf(lines *bufio.Scanner, inode string) (drops int64, found bool) {
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 13 || fields[9] != inode {
			continue
		}
		drops, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
		return drops, err == nil
	}
	return 0, false
}

// inodeOf names a socket as /proc does; "" where it cannot.
func inodeOf(c *net.UDPConn) (inode string) {
	raw, err := c.SyscallConn()
	if err != nil {
		return ""
	}
	_ = raw.Control(func(fd uintptr) {
		var st syscall.Stat_t
		if syscall.Fstat(int(fd), &st) == nil {
			inode = strconv.FormatUint(st.Ino, 10)
		}
	})
	return inode
}

package alert_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// benchRead reads the events of a file over and over. The first events of a
// file stand for all: what counts is a usual mix of parts.
func benchRead(b *testing.B, mapping, file string) {
	m := shipped(b, mapping)
	src, err := os.ReadFile(file)
	if err != nil {
		b.Skipf("the corpora are not here: %v", err)
	}
	var lines [][]byte
	size := 0
	for sc := bufio.NewScanner(bytes.NewReader(src)); sc.Scan(); {
		lines = append(lines, bytes.Clone(sc.Bytes()))
		size += len(sc.Bytes())
	}
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		if _, _, err := m.Read("bench", lines[i%len(lines)], now); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(cpu()-before)/float64(i), "cpu-ns/op")
}

// cpu is the time that processors worked for us: on a busy machine the only
// figure that tells.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func benchFile(name string) string {
	dir := os.Getenv("RIPOSTE_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	return filepath.Join(dir, "data", "alerts", name)
}

func BenchmarkReadEVE(b *testing.B) {
	benchRead(b, "suricata-eve", benchFile("suricata-eve-alert.jsonl"))
}

func BenchmarkReadGeneric(b *testing.B) {
	benchRead(b, "generic-json", benchFile("suricata-eve-alert.jsonl"))
}

// BenchmarkReadEVEAuto finds the mapping among all that are shipped first.
func BenchmarkReadEVEAuto(b *testing.B) {
	set := every(b)
	all := lines(b, benchFile("suricata-eve-alert.jsonl"))
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		if _, _, err := set.Read("bench", all[i%len(all)], now); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(cpu()-before)/float64(i), "cpu-ns/op")
}

func BenchmarkReadWindows(b *testing.B) {
	benchRead(b, "windows-event", benchFile("windows-sysmon.jsonl"))
}

func BenchmarkReadWazuh(b *testing.B) { benchRead(b, "wazuh", benchFile("wazuh-alerts-json.jsonl")) }

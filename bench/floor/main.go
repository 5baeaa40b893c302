// Command floor is the least that an embedded durable engine must do for the
// workflow of the benchmarks: HTTP in, a log with group commit (one sync for all
// records that wait), one goroutine a run, the condition in plain Go. Every
// step's result is on disk before the next step begins. It is no engine: no
// retries, no timers, no schema, no guard, no queries.
//
//	floor -mode http -store sqlite    the workflow: one alert, four calls
//	floor -mode steps -store journal  no-op steps, the log only
//
// A store of sqlite writes each batch as one transaction in WAL with
// synchronous=FULL, through the same SQLite without cgo that Riposte uses; a
// store of journal appends to a file that is allocated ahead.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	mode := flag.String("mode", "http", "http or steps")
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	mock := flag.String("mock", "", "where the enrichment services and the firewall are")
	dir := flag.String("data", "", "the folder of the log")
	store := flag.String("store", "sqlite", "sqlite or journal")
	runs := flag.Int("runs", 1024, "with -mode steps: runs at once")
	steps := flag.Int("steps", 50, "with -mode steps: steps of each")
	flag.Parse()
	if err := work(*mode, *addr, *mock, *dir, *store, *runs, *steps); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func work(mode, addr, mock, dir, store string, runs, steps int) error {
	if dir == "" {
		return errors.New("-data is missing; expected a folder")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	j, err := openJournal(store, filepath.Join(dir, "floor"))
	if err != nil {
		return err
	}
	switch mode {
	case "http":
		go func() { // nothing can be kept any more
			fmt.Fprintln(os.Stderr, "floor:", <-j.failed)
			os.Exit(1)
		}()
		return (&server{j: j, mock: mock, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}}).serve(addr)
	case "steps":
		return noop(j, runs, steps)
	}
	return fmt.Errorf("there is no mode %q; expected http or steps", mode)
}

// noop writes steps of many runs, each waiting for its last one.
func noop(j *journal, runs, steps int) error {
	payload := bytes.Repeat([]byte("x"), 220)
	begin := time.Now()
	var all sync.WaitGroup
	for r := range runs {
		all.Go(func() {
			for s := range steps {
				j.put(uint64(r), uint16(s), payload)
			}
		})
	}
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	select {
	case <-finished:
	case err := <-j.failed:
		return err
	}
	seconds := time.Since(begin).Seconds()
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"per_second": float64(runs*steps) / seconds, "seconds": seconds})
}

type server struct {
	j      *journal
	mock   string
	client *http.Client
	next   atomic.Uint64
}

func (s *server) serve(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /alert", func(w http.ResponseWriter, r *http.Request) { s.accept(w, r, true) })
	mux.HandleFunc("POST /ingest", func(w http.ResponseWriter, r *http.Request) { s.accept(w, r, false) })
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("http://" + ln.Addr().String())
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(ln)
}

// accept answers once the alert is on disk.
func (s *server) accept(w http.ResponseWriter, r *http.Request, begin bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !json.Valid(body) {
		http.Error(w, "bad alert", http.StatusBadRequest)
		return
	}
	id := s.next.Add(1)
	s.j.put(id, 0, body)
	w.WriteHeader(http.StatusAccepted)
	if begin {
		go s.run(id, body)
	}
}

// run is the workflow: three lookups, a condition, a block.
func (s *server) run(id uint64, alert []byte) {
	var a struct {
		ID    string `json:"id"`
		SrcIP string `json:"src_ip"`
	}
	if json.Unmarshal(alert, &a) != nil {
		return
	}
	var opinion struct {
		Score float64 `json:"score"`
	}
	for i, kind := range []string{"ip", "domain", "hash"} {
		b, err := s.call(http.MethodGet, s.mock+"/enrich/"+kind+"?q="+a.SrcIP, nil)
		if err != nil || json.Unmarshal(b, &opinion) != nil {
			return
		}
		s.j.put(id, uint16(i+1), b)
	}
	if opinion.Score > 80 {
		b, err := s.call(http.MethodPost, s.mock+"/block/"+a.ID, []byte(`{"ip":"`+a.SrcIP+`"}`))
		if err != nil {
			return
		}
		s.j.put(id, 5, b)
	}
	s.j.add(id, 6, nil) // the end needs no wait: to find it again is harmless
}

func (s *server) call(method, url string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

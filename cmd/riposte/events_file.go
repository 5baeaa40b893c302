package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"time"

	"riposte/internal/alert"
	wire "riposte/internal/event"
)

// maxEventsFile is how much of a file of events is read, also after its
// compression.
const maxEventsFile = 1 << 30

// readEvents finds the events of a file, which may be compressed, - being
// standard input. A JSON document that a mapping for its product reads is one
// event, whatever lists are in it.
func readEvents(w *world, file string, set *alert.Mappings) ([]wire.Item, string, error) {
	data, err := eventsFile(w, file)
	if err != nil {
		return nil, "", err
	}
	items, how := wire.Split(data, func(raw []byte) bool {
		e, err := wire.Read(raw, time.Now())
		if err != nil {
			return false
		}
		m := set.Detect(e)
		return m != nil && !m.Generic()
	})
	return items, how, nil
}

func eventsFile(w *world, file string) ([]byte, error) {
	in, name := w.in, "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, misusef("%s is a folder; name files of events", file)
		}
		in, name = f, file
	}
	buffered := bufio.NewReader(in)
	in = buffered
	if magic, err := buffered.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, misusef("%s: it begins as gzip, and is not: %v", name, err)
		}
		in = z
	}
	data, err := io.ReadAll(io.LimitReader(in, maxEventsFile+1))
	switch {
	case err != nil:
		return nil, misusef("%s: %v", name, err)
	case len(data) > maxEventsFile:
		return nil, misusef("%s holds more than 1 GiB of events; take it in parts", name)
	}
	return data, nil
}

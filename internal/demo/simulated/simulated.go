// Package simulated holds products that exist only in the demo: an endpoint
// protection (EDR), a firewall, a directory and a reputation service. Each is a
// small HTTP server with an API, credentials and a state of its own, behaves as
// such products do (already so, not found, too many requests), can be told to
// misbehave, and can be asked afterwards what really happened.
//
// Besides its own API every product answers, without credentials:
//
//	GET    /state    what is isolated, blocked, disabled now
//	GET    /log      every call that meant to change something, oldest first
//	GET    /faults   the faults that wait, PUT replaces them, DELETE ends them
//	POST   /reset    first state, empty log, no faults
//
// It listens where Start says and must not be reachable by strangers.
package simulated

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Products are the four simulated products, each with a server of its own.
type Products struct {
	EDR        *Product // bearer token; hosts, isolation, blocked hashes, collections
	Firewall   *Product // API key in a header; a list of blocked addresses and domains
	Directory  *Product // basic authentication; accounts, sessions, groups
	Reputation *Product // API key in the query; scores
}

// Start starts all products. Addr is the address to listen on, such as
// 127.0.0.1:0; with a port other than 0 the products take it and the three that
// follow.
func Start(addr string) (*Products, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("start simulated products on %q: expected HOST:PORT: %w", addr, err)
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("start simulated products on %q: expected a port number: %w", addr, err)
	}
	p := &Products{EDR: newEDR(), Firewall: newFirewall(), Directory: newDirectory(), Reputation: newReputation()}
	for i, product := range p.All() {
		at := port
		if first != 0 {
			at = strconv.FormatUint(first+uint64(i), 10)
		}
		if err := product.listen(net.JoinHostPort(host, at)); err != nil {
			return nil, errors.Join(fmt.Errorf("start simulated %s: %w", product.Name, err), p.Stop())
		}
	}
	return p, nil
}

// All lists the products in a fixed order.
func (p *Products) All() []*Product {
	return []*Product{p.EDR, p.Firewall, p.Directory, p.Reputation}
}

// Stop ends all servers, also calls that hang, and waits for them.
func (p *Products) Stop() error {
	var all error
	for _, product := range p.All() {
		all = errors.Join(all, product.stop())
	}
	return all
}

// stopWithin is how long calls under way may take to end by themselves.
const stopWithin = 2 * time.Second

func (p *Product) listen(addr string) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	p.URL = "http://" + listener.Addr().String()
	p.served = make(chan struct{})
	go func() {
		defer close(p.served)
		_ = p.server.Serve(listener) // ends with ErrServerClosed when stop is called
	}()
	return nil
}

func (p *Product) stop() error {
	if p.served == nil {
		return nil
	}
	p.ending.Do(func() { close(p.ended) })
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = p.server.Close()
	}
	<-p.served
	return err
}

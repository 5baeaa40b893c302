package main

import (
	"bufio"
	"fmt"
	"strings"
)

// sure is the flag of acts that cannot simply be done again the other way.
type sure struct {
	Yes bool `name:"yes" short:"y" help:"Do not ask."`
}

// confirm asks before an act. Without a terminal there is nobody to ask: --yes
// has to be there.
func (w *world) confirm(s sure, question string) error {
	if s.Yes {
		return nil
	}
	if w.askSecret == nil {
		return misusef("%s Nobody can be asked here; say --yes to do it", question)
	}
	fmt.Fprintf(w.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(w.in).ReadString('\n')
	if err != nil && line == "" {
		return fmt.Errorf("nothing was done: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		fmt.Fprintln(w.err, "nothing was done")
		return silent{exitFailed}
	}
	return nil
}

package main

type sourceCmd struct {
	Status sourceStatusCmd `cmd:"" help:"How sources do: what comes, what is usual, what waits."`
}

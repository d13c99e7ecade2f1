// Command robowarden-station holds the engineers' tools: keys, signatures, the demonstration. It is not for robots.
package main

import (
	"os"

	"github.com/robowarden/robowarden/agent/internal/cli"
)

func main() { os.Exit(cli.Main(cli.NewStation(), os.Args[1:])) }

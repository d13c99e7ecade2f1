// Command robowarden-station holds the engineers' tools: keys, signatures, the demonstration. It is not for robots.
package main

import (
	"os"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/station"
)

func main() { os.Exit(cli.Main(station.New(), os.Args[1:])) }

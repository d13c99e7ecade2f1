// Command robowarden is the security agent on the robot.
package main

import (
	"os"

	"github.com/robowarden/robowarden/agent/internal/cli"
)

func main() { os.Exit(cli.Main(cli.NewRobot(), os.Args[1:])) }

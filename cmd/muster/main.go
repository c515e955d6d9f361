// Command muster sends an action to a fleet of endpoints and accounts for every one of them.
package main

import (
	"os"

	"github.com/musterhq/muster/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(cli.Main(version)) }

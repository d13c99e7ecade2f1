package order_test

import (
	"slices"
	"strings"
	"testing"
)

const pkg = "github.com/robowarden/robowarden/attest/order"

// TestWhatThisPackageBringsAlong keeps out what the enforcing part of the robot must not carry: it links this package.
func TestWhatThisPackageBringsAlong(t *testing.T) {
	goTool := tool(t, "go")
	list := func(args ...string) []string {
		out, err := run(t, ".", goTool, append([]string{"list"}, args...)...)
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		return strings.Fields(out)
	}
	deps := list("-deps", pkg)
	for name, why := range map[string]string{
		"net/http":                  "no network client in the enforcing part",
		"crypto/tls":                "no network client in the enforcing part",
		"golang.org/x/crypto/ssh":   "sigstore's DSSE package brings it for key ids, which we derive ourselves",
		"os/exec":                   "no subprocesses on the robot",
		"plugin":                    "no code from outside",
		"net/rpc":                   "no network client in the enforcing part",
		"google.golang.org/grpc":    "no network client in the enforcing part",
		"gopkg.in/yaml.v3":          "orders are JSON",
		"github.com/spf13/cobra":    "command lines belong to the agent",
		"github.com/rs/zerolog":     "a refusal is returned, not logged",
		"github.com/sigstore/rekor": "no transparency log on the robot",
	} {
		if slices.Contains(deps, name) {
			t.Errorf("%s is linked: %s", name, why)
		}
	}
	if !slices.Contains(deps, "github.com/sigstore/sigstore/pkg/signature") {
		t.Error("sigstore is not linked, so this test looks at the wrong package")
	}
	for _, dep := range list("-f", `{{join .Imports "\n"}}`, pkg) {
		if strings.Contains(dep, ".") && dep != "github.com/sigstore/sigstore/pkg/signature" {
			t.Errorf("%s is imported: sigstore's signatures are the only thing from outside", dep)
		}
	}
}

// Package report draws what a replay found as one HTML file. It decides nothing and fetches nothing.
package report

import (
	"io"

	"github.com/robowarden/robowarden/agent/replay"
)

// Write writes the report.
func Write(w io.Writer, r *replay.Report) error {
	_, err := io.WriteString(w, r.Policy)
	return err
}

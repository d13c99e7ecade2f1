package verifier

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/eventlog"
)

// YAML writes reference values for people to read and edit, with the heading as comments in front. Reading it gives the
// same values.
func (r *References) YAML(heading string) []byte {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(heading)) {
		fmt.Fprintf(&b, "# %s\n", strings.TrimRight(line, "\n"))
	}
	fmt.Fprintf(&b, "name: %s\ntier: %s\n", quoted(r.Name), r.Tier)
	if r.Learning {
		b.WriteString("learning: true\n")
	}
	for _, x := range []struct{ key, value string }{{"firmware_log", r.FirmwareLog}, {"secure_boot", r.SecureBoot}} {
		if x.value != "" {
			fmt.Fprintf(&b, "%s: %s\n", x.key, quoted(x.value))
		}
	}
	if len(r.PCRs) > 0 {
		b.WriteString("\n# The registers to quote. logs: true means that the logs must lead to the value.\npcrs:\n")
	}
	for i := range r.PCRs {
		p := &r.PCRs[i]
		fields := []string{"pcr: " + strconv.Itoa(p.PCR)}
		if p.Logs {
			fields = append(fields, "logs: true")
		}
		entry(&b, fields, &p.Set)
	}
	r.yamlEvents(&b)
	b.WriteString("\n# What the robot says about itself; with file, the measured log must show it.\n")
	for _, c := range r.claims() {
		if r.Learning {
			break
		}
		fmt.Fprintf(&b, "%s:\n", strings.ReplaceAll(c.name, "-", "_"))
		if c.rule.File != "" {
			fmt.Fprintf(&b, "  file: %s\n", quoted(c.rule.File))
		}
		c.rule.yaml(&b, "  ")
	}
	if len(r.Artifacts) > 0 {
		b.WriteString("\n# Models and firmware.\nartifacts:\n")
	}
	for i := range r.Artifacts {
		x := &r.Artifacts[i]
		entry(&b, []string{"name: " + quoted(x.Name), fmt.Sprintf("min_svn: %d", x.MinSVN)}, &x.Set)
	}
	if r.Debug != nil {
		b.WriteString("\n# Debug interfaces that may be open.\ndebug:\n  allowed:")
		if len(r.Debug.Allowed) == 0 {
			b.WriteString(" []")
		}
		b.WriteString("\n")
		for _, d := range r.Debug.Allowed {
			fmt.Fprintf(&b, "    - %s\n", quoted(d))
		}
	}
	if len(r.Files) > 0 {
		b.WriteString("\n# Other files that are measured.\nfiles:\n")
	}
	for i := range r.Files {
		entry(&b, []string{"path: " + quoted(r.Files[i].Path)}, &r.Files[i].Set)
	}
	r.IMA.yaml(&b)
	if len(r.Reject) > 0 {
		b.WriteString("\n# Never again, wherever it turns up.\nreject:\n")
	}
	for _, d := range r.Reject {
		fmt.Fprintf(&b, "  - %s\n", quoted(d))
	}
	return []byte(b.String())
}

// yaml writes the rules for the log of files, if there are any.
func (r *IMARule) yaml(b *strings.Builder) {
	if r == nil {
		return
	}
	fmt.Fprintf(b, "\n# Files that the kernel reads.\nima:\n  optional: %t\n", r.Optional)
	if len(r.Files) > 0 {
		b.WriteString("  files:\n")
	}
	for i := range r.Files {
		entry(b, []string{"path: " + quoted(r.Files[i].Path)}, &r.Files[i].Set)
	}
	for _, x := range r.sets() {
		fmt.Fprintf(b, "  %s:\n", x.name)
		x.set.yaml(b, "    ")
	}
}

func (r *References) yamlEvents(b *strings.Builder) {
	pcr := -1
	for i := range r.Events {
		e := &r.Events[i]
		if i == 0 {
			b.WriteString("\n# What the firmware's log may show in these registers. Every event needs a rule.\nevents:\n")
		}
		if e.PCR != pcr {
			pcr = e.PCR
			fmt.Fprintf(b, "  # PCR %d: %s\n", pcr, eventlog.PCRUse(pcr))
		}
		fields := []string{"pcr: " + strconv.Itoa(e.PCR), "class: " + string(e.Class)}
		if e.Name != "" {
			fields = append(fields, "name: "+quoted(e.Name))
		}
		if e.What != "" {
			fields = append(fields, "what: "+quoted(e.What))
		}
		if e.Optional {
			fields = append(fields, "optional: true")
		}
		entry(b, fields, &e.Set)
	}
}

// entry writes one element of a list.
func entry(b *strings.Builder, fields []string, s *Set) {
	fmt.Fprintf(b, "  - %s\n", fields[0])
	for _, f := range fields[1:] {
		fmt.Fprintf(b, "    %s\n", f)
	}
	s.yaml(b, "    ")
}

func (s *Set) yaml(b *strings.Builder, indent string) {
	if s.Any {
		fmt.Fprintf(b, "%sany: true\n%swhy: %s\n", indent, indent, quoted(s.Why))
	}
	if len(s.Allowed) > 0 {
		fmt.Fprintf(b, "%sallowed:\n", indent)
	}
	for _, v := range s.Allowed {
		fmt.Fprintf(b, "%s  - %s\n", indent, quoted(v))
	}
	if len(s.Leaving) > 0 {
		fmt.Fprintf(b, "%sleaving:\n", indent)
	}
	for _, l := range s.Leaving {
		fmt.Fprintf(b, "%s  - value: %s\n%s    until: %s\n", indent, quoted(l.Value), indent, quoted(l.Until.UTC().Format(time.RFC3339Nano)))
	}
}

// quoted is text as a double-quoted scalar: what JSON writes, YAML reads.
func quoted(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(out)
}

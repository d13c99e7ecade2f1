package config

// Severity says whether a problem stops the configuration from being loaded.
type Severity string

// Severities.
const (
	// SeverityError refuses the configuration.
	SeverityError Severity = "error"
	// SeverityWarning is only told.
	SeverityWarning Severity = "warning"
)

// Problem is one thing that is wrong with a document, and where.
type Problem struct {
	// File is the path as it was given.
	File string `json:"file"`
	// Line and Column count from 1, Column in characters; both are 0 where the whole file is meant.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the place in the document, for example zones[3].max_speed_mps.
	Path string `json:"path,omitempty"`
	// Rule names the rule that was broken; the names are stable.
	Rule string `json:"rule"`
	// Severity says whether the document is refused.
	Severity Severity `json:"severity"`
	// Expected and Found say what the rule wants and what the document has.
	Expected string `json:"expected"`
	Found    string `json:"found"`
	// Hint says what to do.
	Hint string `json:"hint,omitempty"`
	// Example is a line that would be accepted.
	Example string `json:"example,omitempty"`
}

package strictyaml

// Rule names what a document broke; the names are stable.
type Rule string

// The rules of the syntax.
const (
	// RuleEmpty wants a document.
	RuleEmpty Rule = "empty-file"
	// RuleSize caps the document.
	RuleSize Rule = "too-large"
	// RuleDepth caps nesting.
	RuleDepth Rule = "too-deep"
	// RuleEncoding wants UTF-8.
	RuleEncoding Rule = "not-utf8"
	// RuleBOM refuses byte order marks.
	RuleBOM Rule = "byte-order-mark"
	// RuleTab refuses tabs.
	RuleTab Rule = "tab"
	// RuleCharacter refuses characters that cannot be seen or that reorder text.
	RuleCharacter Rule = "hidden-character"
	// RuleDocument refuses a second document.
	RuleDocument Rule = "second-document"
	// RuleDirective refuses % lines.
	RuleDirective Rule = "directive"
	// RuleAnchor refuses &anchors and *aliases.
	RuleAnchor Rule = "anchor"
	// RuleTag refuses !tags.
	RuleTag Rule = "tag"
	// RuleMerge refuses << keys.
	RuleMerge Rule = "merge-key"
	// RuleKey wants simple keys.
	RuleKey Rule = "complex-key"
	// RuleMultiline wants scalars on one line.
	RuleMultiline Rule = "multi-line-text"
	// RuleIndent wants entries of one collection below each other.
	RuleIndent Rule = "indentation"
	// RuleSyntax is everything else.
	RuleSyntax Rule = "syntax"
)

// Fault is one broken rule.
type Fault struct {
	// Off and End are the byte offsets of the offending text.
	Off, End int
	// Rule is what was broken.
	Rule Rule
	// Expected, Found and Hint are for people.
	Expected, Found, Hint string
}

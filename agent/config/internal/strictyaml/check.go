package strictyaml

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxBytes is the largest document.
const MaxBytes = 4 << 20

// MaxDepth is the deepest nesting of collections; the deepest of our documents has 7 levels.
const MaxDepth = 16

// MaxFaults is how many faults one Parse reports; the last one says that there are more.
const MaxFaults = 500

// checkText reports bytes that no document may have, and says whether the rest is worth parsing.
func checkText(src string, report func(Fault)) bool {
	if len(src) > MaxBytes {
		report(Fault{
			Rule: RuleSize, Expected: fmt.Sprintf("at most %d bytes", MaxBytes),
			Found: fmt.Sprintf("%d bytes", len(src)), Hint: "simplify the outlines of zones or split the site",
		})
		return false
	}
	if strings.HasPrefix(src, "\uFEFF") {
		report(Fault{
			End: 3, Rule: RuleBOM, Expected: "plain UTF-8", Found: "a byte order mark",
			Hint: "save the file as UTF-8 without BOM",
		})
	} else if strings.HasPrefix(src, "\xff\xfe") || strings.HasPrefix(src, "\xfe\xff") {
		report(Fault{
			End: 2, Rule: RuleEncoding, Expected: "UTF-8", Found: "UTF-16",
			Hint: "save the file as UTF-8 without BOM",
		})
		return false
	}
	for i := 0; i < len(src); {
		c := src[i]
		if c >= ' ' && c < 0x7f || c == '\n' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(src[i:])
		if f, bad := checkRune(src, i, r, n); bad {
			report(f)
			if f.Rule == RuleEncoding {
				return false // one wrong encoding has a thousand wrong bytes
			}
		}
		i += n
	}
	return true
}

func checkRune(src string, i int, r rune, n int) (Fault, bool) {
	f := Fault{Off: i, End: i + n, Rule: RuleCharacter, Expected: "visible characters", Hint: "delete it"}
	switch {
	case r == utf8.RuneError && n <= 1:
		f.Rule, f.Expected, f.Hint = RuleEncoding, "UTF-8", "save the file as UTF-8 without BOM"
		f.Found = fmt.Sprintf("the byte 0x%02x", src[i])
		return f, true
	case r == '\t':
		f.Rule, f.Expected, f.Found, f.Hint = RuleTab, "spaces", "a tab", "indent with two spaces"
		return f, true
	case r == '\r':
		if i+1 < len(src) && src[i+1] == '\n' {
			return f, false
		}
		f.Found = "a carriage return without a line feed"
	case r == '\uFEFF' && i == 0:
		return f, false // reported already
	case r < ' ' || r >= 0x7f && r < 0xa0:
		f.Found = fmt.Sprintf("the control character U+%04X", r)
	case r == 0xa0 || r == 0x2028 || r == 0x2029 || r == 0x3000 || r >= 0x2000 && r <= 0x200f || r == 0x00ad ||
		r >= 0x2060 && r <= 0x206f || r >= 0x202a && r <= 0x202f || r == 0xfeff || r == 0x061c:
		// What is reviewed and signed must be what is read: no invisible spaces, no text that runs backwards.
		f.Found = fmt.Sprintf("the invisible or reordering character U+%04X", r)
	default:
		return f, false
	}
	return f, true
}

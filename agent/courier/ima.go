package courier

import (
	"io"
	"os"
	"slices"

	"github.com/robowarden/robowarden/attest/evidence"
)

// imaTries is how often evidence is made anew since the kernel has read a file meanwhile.
const imaTries = 4

// imaPieces is what the kernel's log of files holds from an offset on.
type imaPieces struct {
	path   string
	end    int64
	pieces []logFile
}

// readIMA reads the log of files from an offset on, as far as one evidence can take along. A log that cannot be read is left out, and
// the claims say so by not naming it; one that has nothing new is one empty piece.
func (p *proof) readIMA(from int64) imaPieces {
	out := imaPieces{path: p.ima, end: from}
	if p.ima == "" {
		return imaPieces{}
	}
	f, err := os.Open(p.ima)
	if err != nil {
		return imaPieces{}
	}
	defer func() { _ = f.Close() }()
	for len(out.pieces) < evidence.MaxIMAParts {
		// The kernel's files say that they have no size.
		data, err := io.ReadAll(io.NewSectionReader(f, out.end, evidence.MaxLog))
		if err != nil {
			return imaPieces{}
		}
		if len(data) > 0 || len(out.pieces) == 0 {
			out.pieces = append(out.pieces, logFile{evidence.IMAPart(out.end), fingerprint(data), data})
		}
		out.end += int64(len(data))
		if len(data) < evidence.MaxLog {
			break
		}
	}
	return out
}

// grown says whether the log goes on behind what was read, though there was room for it.
func (i *imaPieces) grown() bool {
	if n := len(i.pieces); n == 0 || n == evidence.MaxIMAParts && len(i.pieces[n-1].data) == evidence.MaxLog {
		return false
	}
	f, err := os.Open(i.path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	n, _ := f.ReadAt(make([]byte, 1), i.end)
	return n > 0
}

// pieceEnd is up to which byte evidence takes the log of files along that has no room for more of it; 0 if it has.
func pieceEnd(logs []logFile) (end int64) {
	full := 0
	for _, l := range logs {
		if at, ok := evidence.IMAOffset(l.name); ok && len(l.data) == evidence.MaxLog {
			full, end = full+1, max(end, at+evidence.MaxLog)
		}
	}
	if full < evidence.MaxIMAParts {
		return 0
	}
	return end
}

// sent are the pieces that are sent: an empty one needs no message.
func (i *imaPieces) sent() []logFile {
	return slices.DeleteFunc(slices.Clone(i.pieces), func(l logFile) bool { return len(l.data) == 0 })
}

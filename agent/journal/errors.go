package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrLocked is returned by [Open] when another process or another Log writes to the directory.
var ErrLocked = errors.New("another writer has this journal open")

// ErrClosed is returned by [Log.Sync] after [Log.Close].
var ErrClosed = errors.New("the journal is closed")

// ErrVersion is returned by [Open] for a log that another version of the format wrote.
var ErrVersion = errors.New("the journal was written in another version of the format")

// Code classifies what is wrong with a log.
type Code uint8

// What a reader can find.
const (
	// CodeTorn: the file ends inside a structure.
	CodeTorn Code = iota + 1
	// CodeMagic: the bytes are not the start of any structure.
	CodeMagic
	// CodeLength: a length is outside what the format allows.
	CodeLength
	// CodeFlags: bits are set that the format does not define.
	CodeFlags
	// CodeCRC: the checksum of a structure does not match.
	CodeCRC
	// CodeChain: the checksum matches, but the chain value does not follow from what is before it.
	CodeChain
	// CodeSequence: the chain matches, but a number is not the one that must come.
	CodeSequence
	// CodePayload: one of the journal's own records has a payload of the wrong shape.
	CodePayload
	// CodeIndex: the number in the file's name is not the one in its header.
	CodeIndex
	// CodeForeign: the segment belongs to another log.
	CodeForeign
	// CodeMissing: one or more segments are not there.
	CodeMissing
	// CodeTrailing: there are bytes after the end of a sealed segment.
	CodeTrailing
	// CodeCheckpoint: a head that is known from elsewhere is not in the log.
	CodeCheckpoint
	// CodeFile: the file cannot be read, or is not a regular file.
	CodeFile
)

// codeTexts says what each code means.
var codeTexts = [...]string{
	CodeTorn:       "the file ends inside a structure",
	CodeMagic:      "no structure starts here",
	CodeLength:     "impossible length",
	CodeFlags:      "undefined flags",
	CodeCRC:        "checksum does not match",
	CodeChain:      "hash chain does not match",
	CodeSequence:   "wrong number",
	CodePayload:    "malformed record of the journal itself",
	CodeIndex:      "file name and header disagree",
	CodeForeign:    "segment of another log",
	CodeMissing:    "segment missing",
	CodeTrailing:   "bytes after the end of the segment",
	CodeCheckpoint: "known head not found",
	CodeFile:       "file cannot be used",
}

// String says what the code means.
func (c Code) String() string {
	if int(c) < len(codeTexts) && codeTexts[c] != "" {
		return codeTexts[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Error is one thing that is wrong with a log, and where.
type Error struct {
	// Code classifies it.
	Code Code
	// File is the path of the segment.
	File string
	// Offset is the byte in the file where the faulty structure starts.
	Offset int64
	// Seq is the sequence number that was expected there, 0 where none was.
	Seq uint64
	// Detail says what was expected and what was found.
	Detail string
	// Err is the cause, if the operating system gave one.
	Err error
}

// Error gives file, byte, expected record and what is wrong.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: byte %d", e.File, e.Offset)
	if e.Seq != 0 {
		s += fmt.Sprintf(" (record %d)", e.Seq)
	}
	s += ": " + e.Code.String()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the operating system's error, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// MarshalJSON writes what [Error.Error] says, in parts.
func (e *Error) MarshalJSON() ([]byte, error) {
	detail := e.Detail
	if e.Err != nil {
		detail = strings.TrimPrefix(detail+": "+e.Err.Error(), ": ")
	}
	return json.Marshal(struct {
		Code   string `json:"code"`
		File   string `json:"file"`
		Offset int64  `json:"offset"`
		Seq    uint64 `json:"seq,omitempty"`
		Detail string `json:"detail,omitempty"`
	}{e.Code.String(), e.File, e.Offset, e.Seq, detail})
}

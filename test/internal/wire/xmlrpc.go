// Package wire speaks ROS 1's two protocols, XML-RPC and TCPROS, byte by byte, for peers and attacks that need more
// freedom than real client libraries give; it never checks on the behalf of its user that what is sent makes sense.
//
// It was written from the ROS 1 wire format (wiki.ros.org: Master API, Slave API, TCPROS, Connection Header), apart
// from the product, which must not share it: a common mistake would test nothing.
package wire

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxReply bounds what Call reads, so that a hostile server cannot take the test down.
const maxReply = 8 << 20

// Fault is an XML-RPC fault reply.
type Fault struct {
	// Code and Text are faultCode and faultString.
	Code int
	Text string
}

// Error names the fault.
func (f *Fault) Error() string { return fmt.Sprintf("xml-rpc fault %d: %s", f.Code, f.Text) }

// Refused is a ROS reply with a status other than 1: the call came through and the callee said no.
type Refused struct {
	// Method was called; Status is 0 (failure) or -1 (error), Message the callee's words.
	Method  string
	Status  int
	Message string
}

// Error names the refusal.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s refused with status %d: %s", r.Method, r.Status, r.Message)
}

// AppendValue appends one XML-RPC value: string, int, bool, float64, []byte, []string, []any or map[string]any.
func AppendValue(b []byte, v any) []byte {
	b = append(b, "<value>"...)
	switch v := v.(type) {
	case string:
		b = append(b, "<string>"...)
		var text bytes.Buffer
		_ = xml.EscapeText(&text, []byte(v)) // a bytes.Buffer cannot fail
		b = append(append(b, text.Bytes()...), "</string>"...)
	case int:
		b = fmt.Appendf(b, "<int>%d</int>", v)
	case bool:
		n := 0
		if v {
			n = 1
		}
		b = fmt.Appendf(b, "<boolean>%d</boolean>", n)
	case float64:
		b = fmt.Appendf(b, "<double>%s</double>", strconv.FormatFloat(v, 'g', -1, 64))
	case []byte:
		b = fmt.Appendf(b, "<base64>%s</base64>", base64.StdEncoding.EncodeToString(v))
	case []string:
		b = append(b, "<array><data>"...)
		for _, e := range v {
			b = AppendValue(b, e)
		}
		b = append(b, "</data></array>"...)
	case []any:
		b = append(b, "<array><data>"...)
		for _, e := range v {
			b = AppendValue(b, e)
		}
		b = append(b, "</data></array>"...)
	case map[string]any:
		b = append(b, "<struct>"...)
		for k, e := range v {
			b = append(AppendValue(fmt.Appendf(b, "<member><name>%s</name>", k), e), "</member>"...)
		}
		b = append(b, "</struct>"...)
	default:
		panic(fmt.Sprintf("wire: no XML-RPC form for %T", v)) // a mistake in the test itself
	}
	return append(b, "</value>"...)
}

// EncodeCall is the body of a method call.
func EncodeCall(method string, args ...any) []byte {
	b := fmt.Appendf(nil, `<?xml version="1.0"?><methodCall><methodName>%s</methodName><params>`, method)
	for _, a := range args {
		b = append(AppendValue(append(b, "<param>"...), a), "</param>"...)
	}
	return append(b, "</params></methodCall>"...)
}

// EncodeReply is the body of a method response with one value.
func EncodeReply(v any) []byte {
	b := []byte(`<?xml version="1.0"?><methodResponse><params><param>`)
	return append(AppendValue(b, v), "</param></params></methodResponse>"...)
}

// DecodeCall reads a method call.
func DecodeCall(r io.Reader) (method string, args []any, err error) {
	d := xml.NewDecoder(r)
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) && method != "" {
			return method, args, nil
		}
		if err != nil {
			return "", nil, fmt.Errorf("wire: method call: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "methodName":
			if err := d.DecodeElement(&method, &start); err != nil {
				return "", nil, fmt.Errorf("wire: method name: %w", err)
			}
			method = strings.TrimSpace(method)
		case "value":
			v, err := decodeValue(d, 0)
			if err != nil {
				return "", nil, fmt.Errorf("wire: argument %d of %s: %w", len(args), method, err)
			}
			args = append(args, v)
		}
	}
}

// DecodeReply reads a method response; a fault comes back as *Fault.
func DecodeReply(r io.Reader) (any, error) {
	d := xml.NewDecoder(r)
	fault := false
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("wire: method response: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "fault":
			fault = true
		case "value":
			v, err := decodeValue(d, 0)
			if err != nil {
				return nil, fmt.Errorf("wire: method response: %w", err)
			}
			if m, ok := v.(map[string]any); fault && ok {
				code, _ := m["faultCode"].(int)
				text, _ := m["faultString"].(string)
				return nil, &Fault{Code: code, Text: text}
			}
			return v, nil
		}
	}
}

// decodeValue reads up to the end of a <value> whose start was just read.
func decodeValue(d *xml.Decoder, depth int) (any, error) {
	if depth > 16 {
		return nil, errors.New("values nested deeper than 16")
	}
	var text strings.Builder
	var v any
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.CharData:
			text.Write(tok)
		case xml.StartElement:
			if v, err = decodeTyped(d, tok, depth); err != nil {
				return nil, err
			}
		case xml.EndElement:
			if v == nil { // no type element: a string
				return text.String(), nil
			}
			return v, nil
		}
	}
}

func decodeTyped(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	switch start.Name.Local {
	case "array":
		return decodeArray(d, depth)
	case "struct":
		return decodeStruct(d, depth)
	}
	var s string
	if err := d.DecodeElement(&s, &start); err != nil {
		return nil, err
	}
	switch start.Name.Local {
	case "string":
		return s, nil
	case "int", "i4":
		return strconv.Atoi(strings.TrimSpace(s))
	case "boolean":
		return strings.TrimSpace(s) == "1", nil
	case "double":
		return strconv.ParseFloat(strings.TrimSpace(s), 64)
	case "base64":
		return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	}
	return nil, fmt.Errorf("unknown type <%s>", start.Name.Local)
}

func decodeArray(d *xml.Decoder, depth int) (any, error) {
	list := []any{}
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if tok.Name.Local == "value" {
				v, err := decodeValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
		case xml.EndElement:
			if tok.Name.Local == "array" {
				return list, nil
			}
		}
	}
}

func decodeStruct(d *xml.Decoder, depth int) (any, error) {
	m := map[string]any{}
	name := ""
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			switch tok.Name.Local {
			case "name":
				if err := d.DecodeElement(&name, &tok); err != nil {
					return nil, err
				}
			case "value":
				v, err := decodeValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				m[name] = v
			}
		case xml.EndElement:
			if tok.Name.Local == "struct" {
				return m, nil
			}
		}
	}
}

// httpClient opens one connection per call: an attack must not depend on what an earlier one left behind.
var httpClient = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext:       (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
}}

// Call makes an XML-RPC call and returns the bare value.
func Call(ctx context.Context, url, method string, args ...any) (any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(EncodeCall(method, args...)))
	if err != nil {
		return nil, fmt.Errorf("wire: %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "text/xml")
	resp, err := httpClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("wire: %s: %w", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("wire: %s at %s: HTTP status %s", method, url, resp.Status)
	}
	return DecodeReply(io.LimitReader(resp.Body, maxReply))
}

// CallROS makes a master or slave API call and unwraps the triple (status, message, value).
func CallROS(ctx context.Context, url, method string, args ...any) (any, error) {
	v, err := Call(ctx, url, method, args...)
	if err != nil {
		return nil, err
	}
	t, ok := v.([]any)
	if !ok || len(t) != 3 {
		return nil, fmt.Errorf("wire: %s at %s: expected (status, message, value), found %v", method, url, v)
	}
	status, _ := t[0].(int)
	if status != 1 {
		message, _ := t[1].(string)
		return nil, &Refused{Method: method, Status: status, Message: message}
	}
	return t[2], nil
}

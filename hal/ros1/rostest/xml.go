// Package rostest is a small ROS 1 master with publishers, subscribers and services to test against without ROS; it
// never protects itself and is never part of a robot's binary.
//
// It shares no code with package ros1: what one writes the other must be able to read.
package rostest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Value is one XML-RPC value.
type Value struct {
	String  *string `xml:"string"`
	Int     *string `xml:"int"`
	I4      *string `xml:"i4"`
	Boolean *string `xml:"boolean"`
	Array   *struct {
		Values []Value `xml:"data>value"`
	} `xml:"array"`
	Text string `xml:",chardata"`
}

// Str is the value as text, whatever its type.
func (v Value) Str() string {
	for _, s := range []*string{v.String, v.Int, v.I4, v.Boolean} {
		if s != nil {
			return *s
		}
	}
	return v.Text
}

// List is the value as a list; a scalar has none.
func (v Value) List() []Value {
	if v.Array == nil {
		return nil
	}
	return v.Array.Values
}

type methodCall struct {
	Method string `xml:"methodName"`
	Params []struct {
		Value Value `xml:"value"`
	} `xml:"params>param"`
}

type methodResponse struct {
	Value Value `xml:"params>param>value"`
}

// Encode writes ints, bools, strings and lists of them as one XML-RPC value.
func Encode(v any) string {
	switch v := v.(type) {
	case int:
		return fmt.Sprintf("<value><int>%d</int></value>", v)
	case bool:
		if v {
			return "<value><boolean>1</boolean></value>"
		}
		return "<value><boolean>0</boolean></value>"
	case string:
		var b bytes.Buffer
		_ = xml.EscapeText(&b, []byte(v))
		return "<value><string>" + b.String() + "</string></value>"
	case []string:
		var s strings.Builder
		for _, e := range v {
			s.WriteString(Encode(e))
		}
		return "<value><array><data>" + s.String() + "</data></array></value>"
	case []any:
		var s strings.Builder
		for _, e := range v {
			s.WriteString(Encode(e))
		}
		return "<value><array><data>" + s.String() + "</data></array></value>"
	}
	panic(fmt.Sprintf("rostest: cannot encode %T", v))
}

// Call makes one XML-RPC call and returns [code, message, value].
func Call(uri, method string, params ...any) ([]Value, error) {
	var s strings.Builder
	s.WriteString(`<?xml version="1.0"?><methodCall><methodName>` + method + `</methodName><params>`)
	for _, p := range params {
		s.WriteString("<param>" + Encode(p) + "</param>")
	}
	s.WriteString("</params></methodCall>")
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Post(uri, "text/xml", strings.NewReader(s.String()))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("rostest: %s: %s", method, r.Status)
	}
	var res methodResponse
	if err := xml.Unmarshal(b, &res); err != nil {
		return nil, fmt.Errorf("rostest: %s: %w", method, err)
	}
	l := res.Value.List()
	if len(l) != 3 {
		return nil, fmt.Errorf("rostest: %s answered %d values", method, len(l))
	}
	return l, nil
}

// rpcServer serves XML-RPC calls until it is closed.
type rpcServer struct {
	ln   net.Listener
	http *http.Server
}

// serveRPC answers each call with what handle returns: [code, message, value].
func serveRPC(addr string, handle func(method string, params []Value) []any) (*rpcServer, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &rpcServer{ln: ln}
	s.http = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var c methodCall
		if err == nil {
			err = xml.Unmarshal(b, &c)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var params []Value
		for _, p := range c.Params {
			params = append(params, p.Value)
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<?xml version="1.0"?><methodResponse><params><param>%s</param></params></methodResponse>`,
			Encode(handle(c.Method, params)))
	})}
	go func() { _ = s.http.Serve(ln) }()
	return s, nil
}

func (s *rpcServer) addr() string { return s.ln.Addr().String() }
func (s *rpcServer) uri() string  { return "http://" + s.addr() + "/" }

func (s *rpcServer) close() { _ = s.http.Close() }

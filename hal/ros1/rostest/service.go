package rostest

import (
	"net"
	"sync"
)

// Service is one node that provides one service.
type Service struct {
	Name, Service, Type, MD5 string
	// Handle answers a request; ok false makes the response an error text.
	Handle func(request []byte) (response []byte, ok bool)
	// Script takes over a connection after the client's header, before any answer.
	Script func(net.Conn)

	ln  net.Listener
	srv *rpcServer
	wg  sync.WaitGroup
}

// Start listens and registers with a master.
func (s *Service) Start(master string) error {
	var err error
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	if s.srv, err = serveRPC("127.0.0.1:0", func(string, []Value) []any { return []any{1, "", 0} }); err != nil {
		return err
	}
	s.wg.Go(func() {
		for {
			c, err := s.ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer c.Close()
				s.serve(c)
			})
		}
	})
	_, err = Call(master, "registerService", s.Name, s.Service, "rosrpc://"+s.ln.Addr().String(), s.srv.uri())
	return err
}

func (s *Service) serve(c net.Conn) {
	if _, err := ReadHeader(c); err != nil {
		return
	}
	if s.Script != nil {
		s.Script(c)
		return
	}
	if _, err := c.Write(Header("callerid", s.Name, "md5sum", s.MD5, "type", s.Type)); err != nil {
		return
	}
	req, err := ReadFrame(c)
	if err != nil {
		return
	}
	res, ok := s.Handle(req)
	status := byte(0)
	if ok {
		status = 1
	}
	_, _ = c.Write(append([]byte{status}, Frame(res)...))
}

// Close stops serving.
func (s *Service) Close() {
	s.ln.Close()
	s.srv.close()
	s.wg.Wait()
}

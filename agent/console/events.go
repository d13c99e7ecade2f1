package console

import (
	"fmt"
	"net/http"
	"time"
)

// serveEvents sends the newest snapshot whenever there is one, at the client's own pace. What a slow client missed is
// not kept for it; a client that does not read loses its place after WriteTimeout.
func (h *handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		h.refuse(w, r, http.StatusServiceUnavailable, "too many windows follow this robot; close one")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	c := client{h: h, w: w, rc: http.NewResponseController(w)}
	if err := c.follow(r); err != nil {
		h.opts.Log.Debug().Err(err).Str("remote", r.RemoteAddr).Msg("console client went away")
	}
}

// client is one follower of the events.
type client struct {
	h       *handler
	w       http.ResponseWriter
	rc      *http.ResponseController
	sent    *Snapshot
	sceneID uint64
}

func (c *client) follow(r *http.Request) error {
	if err := c.send("hello", []byte("{}")); err != nil {
		return err
	}
	beat := time.NewTicker(c.h.opts.Heartbeat)
	defer beat.Stop()
	pace := time.NewTicker(c.h.opts.MinInterval)
	defer pace.Stop()
	for {
		snapshot, newer := c.h.feed.Latest()
		if snapshot != nil && snapshot != c.sent {
			if err := c.show(snapshot); err != nil {
				return err
			}
			beat.Reset(c.h.opts.Heartbeat)
			select {
			case <-pace.C:
			case <-r.Context().Done():
				return nil
			}
		}
		select {
		case <-newer:
		case <-beat.C:
			if err := c.send("beat", []byte("{}")); err != nil {
				return err
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func (c *client) show(s *Snapshot) error {
	state, scene, id, err := c.h.coder.frames(s)
	if err != nil {
		c.h.opts.Log.Error().Err(err).Msg("console snapshot not encoded")
		return err
	}
	if id != c.sceneID {
		if err := c.send("scene", scene); err != nil {
			return err
		}
		c.sceneID = id
	}
	c.sent = s
	return c.send("state", state)
}

// send writes one event. The data is JSON on a single line.
func (c *client) send(event string, data []byte) error {
	if err := c.rc.SetWriteDeadline(time.Now().Add(c.h.opts.WriteTimeout)); err != nil {
		return fmt.Errorf("console: set the write deadline: %w", err)
	}
	if _, err := fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return fmt.Errorf("console: write an event: %w", err)
	}
	if err := c.rc.Flush(); err != nil {
		return fmt.Errorf("console: flush an event: %w", err)
	}
	return nil
}

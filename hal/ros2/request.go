package ros2

import (
	"context"
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// encoder appends a request's payload, with the header if there is one.
type encoder func(b []byte, id *cdr.RequestID) []byte

// answer is a reply's payload, the header to read it with, and who sent it.
type answer struct {
	payload []byte
	id      *cdr.RequestID
	from    *rtps.RemoteParticipant
}

// do sends a request and returns its answer. Where servers of two kinds offer the service, each kind is asked, which is
// for requests that may be made twice only; the first answer that is good counts, or, if none is, the first at all.
func (c *client) do(ctx context.Context, enc encoder, twice bool, good func(answer) bool) (answer, error) {
	k, keys, err := c.begin(ctx, enc, twice)
	if err != nil {
		return answer{}, err
	}
	defer c.forget(keys)
	return c.await(ctx, k, len(keys), good)
}

// begin sends a request once there is a server. The caller forgets the keys.
func (c *client) begin(ctx context.Context, enc encoder, twice bool) (*call, []requestKey, error) {
	ways, err := c.ready(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(ways) > 1 && !twice {
		return nil, nil, ErrTwoKinds
	}
	k := &call{reply: make(chan answer, len(ways))}
	keys, err := c.sendAll(ways, enc, k)
	if len(keys) == 0 {
		return nil, nil, err
	}
	return k, keys, nil
}

// sendAll sends a request in each way. What cannot be sent in one may still go in the other.
func (c *client) sendAll(ways []flavour, enc encoder, k *call) (keys []requestKey, err error) {
	for _, f := range ways {
		key, sendErr := c.send(f, enc, k)
		if sendErr != nil {
			err = errors.Join(err, sendErr)
			continue
		}
		keys = append(keys, key)
	}
	return keys, err
}

// forget ends the waiting for answers.
func (c *client) forget(keys []requestKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.wait, key)
	}
}

// await waits for a good answer, or for so many.
func (c *client) await(ctx context.Context, k *call, most int, good func(answer) bool) (answer, error) {
	var first *answer
	otherwise := func(err error) (answer, error) {
		if first != nil {
			return *first, nil
		}
		return answer{}, err
	}
	for range most {
		for waiting := true; waiting; {
			servers, news := c.servers()
			if len(servers) == 0 && len(k.reply) == 0 {
				return otherwise(fmt.Errorf("%w any more", ErrNoServer))
			}
			select {
			case a := <-k.reply:
				if good(a) {
					return a, nil
				}
				if first == nil {
					first = &a
				}
				waiting = false
			case <-ctx.Done():
				return otherwise(fmt.Errorf("no reply: %w", context.Cause(ctx)))
			case <-news:
			}
		}
	}
	return *first, nil
}

func header(f flavour) *cdr.RequestID {
	if f == prefixed {
		return new(cdr.RequestID)
	}
	return nil
}

// send writes a request and notes it. The lock keeps a quick reply from coming before the note.
func (c *client) send(f flavour, enc encoder, k *call) (requestKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	id := header(f)
	if id != nil {
		id.Client, id.Seq = c.id, int64(c.seq)
	}
	s, err := c.write(enc(nil, id), f)
	if err != nil {
		return requestKey{}, err
	}
	key := requestKey{f, int64(s.Seq)}
	if f == prefixed {
		key.seq = id.Seq
	}
	c.wait[key] = k
	return key, nil
}

// unknownSeq is RTPS's way to say that a number is not known.
const unknownSeq = wire.SeqNum(-1 << 32)

// write sends a request. With rmw_fastrtps it names our reader as what it is related to: a server then answers once it has
// matched that, as one of rmw_cyclonedds does for the client's number in the user data.
func (c *client) write(payload []byte, f flavour) (rtps.Sent, error) {
	if f == related {
		return c.writers[f].WriteRelated(c.seq, payload, c.reader.GUID(), unknownSeq)
	}
	return c.writers[f].Write(c.seq, payload)
}

// replied takes a reply of any server to any client, ours among them.
func (c *client) replied(x *rtps.Sample) {
	f := c.n.flavourOf(x.Writer.Participant)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := requestKey{f, c.answered(f, x)}
	if k := c.wait[key]; k != nil {
		delete(c.wait, key) // the first answer in each way counts
		k.reply <- answer{append([]byte(nil), x.Payload...), header(f), x.Writer.Participant}
	}
}

// answered is the number of the request of ours that a reply is for, 0 if it is for another client. The caller holds mu.
func (c *client) answered(f flavour, x *rtps.Sample) int64 {
	switch {
	case f == prefixed:
		if id, err := cdr.ParseReplyID(x.Payload); err == nil && id.Client == c.id {
			return id.Seq
		}
	case c.reader != nil && (x.Related == c.reader.GUID() || x.Related == c.writers[related].GUID()):
		return int64(x.RelatedSeq)
	}
	return 0
}

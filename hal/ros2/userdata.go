package ros2

import (
	"sync"

	"github.com/robowarden/robowarden/hal/ros2/idl"
)

// hashes computes what endpoints carry in their user data since Iron: the hash of their type, by which others see that
// they mean the same by a name.
type hashes struct {
	mu  sync.Mutex
	set *idl.Set
}

// data is the user data for a type such as "nav_msgs/msg/Odometry". It is empty for types whose definition differs from
// one release of ROS 2 to another: those of Nav2.
func (h *hashes) data(typ string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.set == nil {
		h.set = idl.NewSet()
	}
	t, err := h.set.Type(typ)
	if err != nil {
		return nil
	}
	sum, err := idl.Hash(t)
	if err != nil {
		return nil
	}
	return []byte("typehash=" + sum + ";")
}

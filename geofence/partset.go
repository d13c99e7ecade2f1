package geofence

import "time"

// chain is a compiled ChainSpec. Fixed joints are folded into the frames of the
// moving ones; links come after their parents.
type chain struct {
	links   []link
	parts   []part
	cameras []camera
	groups  map[string]partSet
	// path holds, for each part and camera, the links from the base outward with what
	// they can do to it.
	path []lever

	low, high, tilt        float64 // mm, mm, rad
	errorRad, errorMM      float64
	reaction, maxAge       time.Duration
	used                   partSet // by some zone
	usedCameras            uint8
	partNames, cameraNames []string
}

// lever is a link on the way to a part. rate bounds how many millimetres of the
// part's segment one unit of the joint's position moves, turn how many radians
// the part turns by it; reach is how far the part's surface can be from the link's
// origin, whatever the positions from here on are.
type lever struct {
	link, number      int32
	rate, turn, reach float64
	// blur and twist are what the joints up to here and this one may be wrong by, in
	// millimetres and radians of the part.
	blur, twist float64
}

// part is a capsule in the frame of a link, -1 for the base.
type part struct {
	link   int32
	a, b   vec3
	r      float64
	lo, hi int32 // in chain.path
}

// camera is a cone in the frame of a link; its point is at.
type camera struct {
	link        int32
	at, axis    vec3
	half, reach float64
	lo, hi      int32
}

// partSet is a set of parts.
type partSet [2]uint64

func (s *partSet) add(i int) { s[i>>6] |= 1 << (i & 63) }

func (s *partSet) has(i int) bool { return s[i>>6]>>(i&63)&1 != 0 }

func (s *partSet) join(o partSet) { s[0] |= o[0]; s[1] |= o[1] }

func (s *partSet) empty() bool { return s[0]|s[1] == 0 }

package bench

import (
	"path/filepath"
	"testing"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
)

// Names of the standard peers.
const (
	Roscpp = "roscpp"
	Rospy  = "rospy"
	Relay  = "relay"
	Direct = "direct"
)

// Topics are the topics for a worker of one's own.
func Topics(job Job, worker string) (in, out string) {
	return "/bench/" + job.String() + "/" + worker + "/in", "/bench/" + job.String() + "/" + worker + "/out"
}

// Peers starts the nodes that others would be compared with: roscpp, rospy and, for Gate, topic_tools' relay, which
// only passes on; and Direct, the way without a node, of which CPU and memory are the driver's own.
func Peers(t testing.TB, m *ros.Master, job Job) []Worker {
	t.Helper()
	node := func(name string, argv ...string) Worker {
		in, out := Topics(job, name)
		argv = append(argv, in, out, "__name:=bench_"+name)
		p := m.Node(t, proc.Spec{Name: name, Argv: argv})
		return Worker{Name: name, PID: p.PID(), In: in, Out: out}
	}
	workers := []Worker{
		node(Roscpp, cpp.Binary(t, "bench_gate"), job.String()),
		node(Rospy, "/usr/bin/python3", filepath.Join(cpp.Root(), "bench", "peers", "rospy_gate.py"), job.String()),
	}
	if job == Gate {
		workers = append(workers, node(Relay, "/usr/lib/topic_tools/relay"))
	}
	in, _ := Topics(job, Direct)
	return append(workers, Worker{Name: Direct, In: in, Out: in})
}

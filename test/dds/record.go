package dds

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foxglove/mcap/go/mcap"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Names is how a recording spells topics and types.
type Names int

// Spellings of recorders: of ROS 2's own ("/odom", "nav_msgs/msg/Odometry"), and of those for any DDS, which write what is on
// the wire ("rt/odom", "nav_msgs::msg::dds_::Odometry_").
const (
	NamesROS Names = iota
	NamesWire
)

// Recorder is a recorder under way: a participant of CycloneDDS takes samples as they come from the wire, and Foxglove's library
// writes them as MCAP. Nothing of the product is in it.
type Recorder struct {
	*proc.Process
	ended chan error
}

// Record begins to record a domain into an MCAP file with chunks of the compression, "" for none.
func Record(t testing.TB, d *domain.Domain, file, compression string, names Names) *Recorder {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "samples")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	idl, err := os.ReadFile(filepath.Join(cpp.Root(), "bus", "ros2.idl"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	cpp.Binary(t, "say_"+string(bus.Cyclone)) // Builds what is out of date.
	r := &Recorder{ended: make(chan error, 1)}
	go func() { r.ended <- errors.Join(write(out, pipe, compression, names, idl), out.Close()) }()
	r.Process = d.Node(t, proc.Spec{Name: "ddsrecord", Argv: []string{cpp.Binary(t, "ddsrecord"), fmt.Sprint(d.Number), d.Address(), pipe}})
	return r
}

// Finish ends the recording in order.
func (r *Recorder) Finish(t testing.TB) {
	t.Helper()
	if exit := r.Stop(20 * time.Second); exit.Code != 0 {
		t.Fatalf("the recorder ended with %v:\n%s", exit, r.Output())
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the recording is not closed")
	}
}

// write turns what src/ddsrecord.c says into MCAP.
func write(out io.Writer, pipe, compression string, names Names, idl []byte) error {
	in, err := os.Open(pipe)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	w, err := mcap.NewWriter(out, &mcap.WriterOptions{
		Chunked: true, ChunkSize: 64 << 10, Compression: mcap.CompressionFormat(compression), IncludeCRC: true,
	})
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&mcap.Header{Profile: map[Names]string{NamesROS: "ros2"}[names], Library: "robowarden's tests"}); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	counts := map[uint16]uint32{}
	for {
		kind, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return err
		}
		id, err := u16(r)
		if err == nil && kind == 1 {
			err = channel(w, r, id, names, idl)
		} else if err == nil {
			counts[id]++
			err = sample(w, r, id, counts[id])
		}
		if err != nil {
			return fmt.Errorf("after %v samples: %w", counts, err)
		}
	}
}

func channel(w *mcap.Writer, r io.Reader, id uint16, names Names, idl []byte) error {
	topic, err1 := name(r)
	typ, err2 := name(r)
	schema := "omgidl"
	if names == NamesROS {
		topic, schema = strings.TrimPrefix(topic, "rt"), "ros2idl"
		typ = strings.TrimSuffix(strings.ReplaceAll(strings.Replace(typ, "::dds_::", "::", 1), "::", "/"), "_")
	}
	return errors.Join(err1, err2,
		w.WriteSchema(&mcap.Schema{ID: id, Name: typ, Encoding: schema, Data: idl}),
		w.WriteChannel(&mcap.Channel{ID: id, SchemaID: id, Topic: topic, MessageEncoding: "cdr"}))
}

func sample(w *mcap.Writer, r io.Reader, id uint16, sequence uint32) error {
	var head struct {
		Received, Sent uint64
		Size           uint32
	}
	if err := binary.Read(r, binary.LittleEndian, &head); err != nil {
		return err
	}
	data := make([]byte, head.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return err
	}
	return w.WriteMessage(&mcap.Message{ChannelID: id, Sequence: sequence, LogTime: head.Received, PublishTime: head.Sent, Data: data})
}

func u16(r io.Reader) (v uint16, err error) {
	err = binary.Read(r, binary.LittleEndian, &v)
	return v, err
}

func name(r io.Reader) (string, error) {
	n, err := u16(r)
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

package gpio

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's GPIO character device, version 2 (linux/gpio.h, since 5.10). It is spoken here instead of through a library:
// three calls are all that is needed.
const (
	getLine   = 0xc250b407 // GPIO_V2_GET_LINE_IOCTL
	getValues = 0xc010b40e // GPIO_V2_LINE_GET_VALUES_IOCTL
	setValues = 0xc010b40f // GPIO_V2_LINE_SET_VALUES_IOCTL

	flagInput    = 1 << 2
	flagOutput   = 1 << 3
	flagPullUp   = 1 << 8
	flagPullDown = 1 << 9
	flagNoBias   = 1 << 10

	attrOutputValues = 2
	maxLines         = 64
)

// lineAttribute is struct gpio_v2_line_config_attribute.
type lineAttribute struct {
	id, _  uint32
	values uint64
	mask   uint64
}

// lineRequest is struct gpio_v2_line_request.
type lineRequest struct {
	offsets  [maxLines]uint32
	consumer [32]byte
	flags    uint64
	attrs    uint32
	_        [5]uint32
	attr     [10]lineAttribute
	lines    uint32
	_        uint32
	_        [5]uint32
	fd       int32
}

// lineValues is struct gpio_v2_line_values.
type lineValues struct{ bits, mask uint64 }

// lines are some lines of a chip that nobody else can have meanwhile; bit i is the i-th of them, 1 for high.
type lines interface {
	set(bits uint64) error
	get() (uint64, error)
	Close() error
}

// kernelLines are lines by the kernel.
type kernelLines struct {
	file *os.File
	mask uint64
}

// openLines asks for lines. An output begins at its level in initial, without a moment at another.
func openLines(chip string, offsets []uint32, flags, initial uint64) (lines, error) {
	c, err := os.OpenFile(chip, os.O_RDWR, 0) //nolint:gosec // the path is the profile's
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // nothing was written
	mask := uint64(1)<<len(offsets) - 1
	r := lineRequest{flags: flags, lines: uint32(len(offsets))} //nolint:gosec // one or two
	copy(r.offsets[:], offsets)
	copy(r.consumer[:len(r.consumer)-1], "robowarden")
	if flags&flagOutput != 0 {
		r.attrs, r.attr[0] = 1, lineAttribute{id: attrOutputValues, values: initial, mask: mask}
	}
	if err := ioctl(c.Fd(), getLine, unsafe.Pointer(&r)); err != nil { //nolint:gosec // the kernel fills the request
		return nil, fmt.Errorf("lines %v: %w", offsets, err)
	}
	return &kernelLines{os.NewFile(uintptr(r.fd), "lines"), mask}, nil //nolint:gosec // a descriptor
}

func (l *kernelLines) set(bits uint64) error {
	v := lineValues{bits, l.mask}
	return ioctl(l.file.Fd(), setValues, unsafe.Pointer(&v)) //nolint:gosec // the kernel reads it
}

func (l *kernelLines) get() (uint64, error) {
	v := lineValues{0, l.mask}
	err := ioctl(l.file.Fd(), getValues, unsafe.Pointer(&v)) //nolint:gosec // the kernel fills it
	return v.bits, err
}

// Close gives the lines back. What level an output keeps is the driver's business.
func (l *kernelLines) Close() error { return l.file.Close() }

func ioctl(fd uintptr, request uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(arg))
	runtime.KeepAlive(arg)
	if errno != 0 {
		return errno
	}
	return nil
}

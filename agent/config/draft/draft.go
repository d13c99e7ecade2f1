// Package draft writes a robot's first profile and topic mapping from what its bus and its URDF show. It never fills in a
// figure that nobody has shown or measured: such a key is left empty, with what to do beside it, and `robowarden check`
// refuses and explains every one of them until a person has.
//
// What a bus shows is the word of those who announced themselves. A draft is read by a person before anything relies on it.
package draft

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
	"github.com/robowarden/robowarden/hal/bus"
)

// Input is what a draft is made of.
type Input struct {
	// Bus is ros1 or ros2, as in a profile.
	Bus string
	// Inventory is what the bus shows.
	Inventory *bus.Inventory
	// URDF is the robot's description, nil where there is none. URDFFile is the name that it has beside the profile.
	URDF     []byte
	URDFFile string
}

// Documents is a draft.
type Documents struct {
	Profile, Topics []byte
	// Notes tell a person what was chosen among several, and what to change on the robot.
	Notes []string
}

// Make writes both documents. The error is that of a URDF that cannot be read, with its line.
func Make(in Input) (*Documents, error) {
	d := &drafter{bus: in.Bus, seen: in.Inventory, urdfSum: digest(in.URDF)}
	if fits(fileForm, in.URDFFile) {
		d.urdfFile = in.URDFFile
	}
	if in.URDF != nil {
		model, err := urdf.Parse(in.URDF)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cmp.Or(in.URDFFile, "URDF"), err)
		}
		d.body = bodyOf(model)
	}
	d.choose()
	return &Documents{Profile: d.profile(), Topics: d.topics(), Notes: d.notes}, nil
}

// drafter is one draft in the making.
type drafter struct {
	bus      string
	seen     *bus.Inventory
	body     *body
	urdfFile string
	urdfSum  string
	notes    []string

	// What was chosen; nil where the bus shows none.
	pose, odometry, joints, imu, battery, command *choice
	stop, dock                                    *bus.ServiceEntry
}

func (d *drafter) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// name is the robot's name as an id.
func (d *drafter) name() string {
	id := "robot"
	if d.body != nil {
		id = identifier(d.body.name, id)
	}
	return id
}

var (
	topicForm = regexp.MustCompile(`^(/[A-Za-z_][A-Za-z0-9_]*){1,16}$`)
	nodeForm  = regexp.MustCompile(`^((/[A-Za-z_][A-Za-z0-9_]*){1,16}|dds:[0-9a-f][0-9a-f.:]{1,44})$`)
	jointForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)
	frameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_/]{0,63}$`)
	fileForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	notInID   = regexp.MustCompile(`[^a-z0-9]+`)
)

// maxName is the longest name of the bus that is written.
const maxName = 200

func fits(form *regexp.Regexp, name string) bool {
	return len(name) <= maxName && form.MatchString(name)
}

// identifier makes an id of a name from outside.
func identifier(name, otherwise string) string {
	id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(id) > 40 {
		id = strings.TrimRight(id[:40], "-")
	}
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		return otherwise
	}
	return id
}

// page is a YAML document in the making. Everything that comes from outside goes through a form first: a name that no
// document may hold is never written, not even in a comment.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// column is where comments begin, so that they read as one.
const column = 40

// with writes a key's line with a comment beside it.
func (p *page) with(line, comment string) {
	if comment == "" {
		p.line("%s", line)
		return
	}
	p.line("%-*s # %s", column, line, comment)
}

// open writes a key that nobody can know but a person, and what that person has to do.
func (p *page) open(key, todo string) { p.with(key+":", "TO DO: "+todo) }

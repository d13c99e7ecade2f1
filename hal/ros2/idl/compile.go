package idl

// Plan reads chosen numbers from payloads of one type. It does not change, so goroutines may share it.
type Plan struct {
	ops []op
	n   int
}

// Len is the number of values that Read fills.
func (p *Plan) Len() int { return p.n }

// Compile makes a plan that reads the numbers at the given paths, in their order. A path names fields parted by dots, with
// indices in brackets: "imu_state.rpy[0]", "motor_state[3].q". It must end at a number, bool or enum. t is what Set.Type
// returned.
func Compile(t *Struct, paths []string) (*Plan, error) {
	var out problems
	if len(paths) == 0 || len(paths) > MaxPaths {
		out.add(place{file: t.Name}, "1 to "+number(MaxPaths)+" paths", number(len(paths)), "name the fields that matter")
		return nil, out.err()
	}
	root := &wanted{}
	for i, path := range paths {
		root.want(t, path, i, &out)
	}
	if err := out.err(); err != nil {
		return nil, err
	}
	c := compiler{skips: map[*Struct][]op{}}
	p := &Plan{ops: c.structure(t, root), n: len(paths)}
	if c.n > maxOps {
		out.add(place{file: t.Name}, "a plan of at most "+number(maxOps)+" operations", "more", "name fewer elements")
		return nil, out.err()
	}
	return p, nil
}

// maxOps bounds a plan's memory. A path costs as many operations as its structures have fields besides.
const maxOps = 1 << 16

// opKind tells a plan's operations apart.
type opKind uint8

const (
	opFixed  opKind = iota // a run of fields of fixed size
	opString               // a string
	opItems                // a sequence whose elements are of fixed size
	opLoop                 // an array or sequence whose elements are not
)

// op is one operation of a plan. Consecutive fields of fixed size are one operation, however deeply they are nested.
type op struct {
	kind opKind
	// span is the size of the run, or of one element.
	span span
	// numbers are the wanted ones within the run.
	numbers []pick1
	// sequence is true where the payload says how many elements there are; count is the bound then (0 none), else the
	// length. least is the smallest size of an element.
	sequence bool
	count    uint32
	least    uint32
	// items are the elements of which something is wanted, by index, and rest is how to pass over all others.
	items []item
	rest  []op
}

// item is one wanted element: numbers within it where elements are fixed, operations where they are not.
type item struct {
	index   uint32
	numbers []pick1
	ops     []op
}

// pick1 is one wanted number: where it begins, from where its run begins, and the slots that take it.
type pick1 struct {
	offset span
	kind   Kind
	slots  []int
}

// compiler turns a type and what is wanted of it into operations.
type compiler struct {
	// skips are the operations that pass over a structure, which are the same wherever it stands.
	skips map[*Struct][]op
	// n counts operations; past maxOps no more are made.
	n int
}

func (c *compiler) structure(st *Struct, w *wanted) []op {
	if w == nil {
		if ops, ok := c.skips[st]; ok {
			return ops
		}
	}
	var ops []op
	for i := range st.Fields {
		if c.n > maxOps {
			break
		}
		f := &st.Fields[i]
		ops = c.add(ops, f.Type, w.field(f.Name))
	}
	c.n += len(ops)
	if w == nil {
		c.skips[st] = ops
	}
	return ops
}

// add appends the operations of one field.
func (c *compiler) add(ops []op, t *Type, w *wanted) []op {
	if t.lay.fixed {
		if n := len(ops); n == 0 || ops[n-1].kind != opFixed {
			ops = append(ops, op{kind: opFixed})
		}
		run := &ops[len(ops)-1]
		run.numbers = collect(run.numbers, t, w, run.span)
		run.span = run.span.then(t.lay.span)
		return ops
	}
	switch t.Kind {
	case String:
		return append(ops, op{kind: opString, count: t.Len})
	case Composite:
		return append(ops, c.nested(t, w)...)
	default: // arrays and sequences
	}
	o := op{kind: opLoop, sequence: t.Kind == Sequence, count: t.Len, least: t.Elem.lay.least}
	if t.Elem.lay.fixed {
		o.kind, o.span = opItems, t.Elem.lay.span
	} else {
		o.rest = c.element(t.Elem, nil)
	}
	for _, i := range w.indices() {
		it := item{index: i}
		if o.kind == opItems {
			it.numbers = collect(nil, t.Elem, w.items[i], span{})
		} else {
			it.ops = c.element(t.Elem, w.items[i])
		}
		o.items = append(o.items, it)
	}
	return append(ops, o)
}

// nested is a structure within another. Where nothing in it is wanted it becomes one loop of one, so that its operations
// are shared and not copied.
func (c *compiler) nested(t *Type, w *wanted) []op {
	ops := c.structure(t.Struct, w)
	if w == nil && len(ops) > 1 {
		return []op{{kind: opLoop, count: 1, rest: ops}}
	}
	return ops
}

func (c *compiler) element(t *Type, w *wanted) []op {
	if t.Kind == Composite {
		return c.structure(t.Struct, w)
	}
	return c.add(nil, t, w)
}

// collect appends the wanted numbers within a type of fixed size that begins base after its run.
func collect(list []pick1, t *Type, w *wanted, base span) []pick1 {
	if w == nil {
		return list
	}
	switch t.Kind {
	case Composite:
		for i := range t.Struct.Fields {
			f := &t.Struct.Fields[i]
			list = collect(list, f.Type, w.field(f.Name), base)
			base = base.then(f.Type.lay.span)
		}
	case Array:
		for _, i := range w.indices() {
			list = collect(list, t.Elem, w.items[i], base.then(t.Elem.lay.span.times(i)))
		}
	default:
		list = append(list, pick1{offset: base.then(alignTo(t.Kind.size())), kind: t.Kind, slots: w.slots})
	}
	return list
}

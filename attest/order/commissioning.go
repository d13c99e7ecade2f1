package order

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// CommissioningType is the record of a robot's proof test; it is signed in the role [RoleTechnician].
const CommissioningType = "application/vnd.robowarden.commissioning.v1+json"

const (
	// maxItems is the largest number of items in one record.
	maxItems = 48
	// maxItemText is the longest text of one item in bytes.
	maxItemText = 320
	// maxDue is the longest time for which a record counts: two years.
	maxDue = 2 * year
)

// The results that an item of a proof test may have.
const (
	// ItemPassed means that it was measured and is as the profile claims.
	ItemPassed = "passed"
	// ItemFailed means that it was measured and is worse.
	ItemFailed = "failed"
	// ItemNotMeasured means that nobody knows.
	ItemNotMeasured = "not-measured"
)

// Commissioning is the record of one robot's proof test: what was measured of how it stops, and until when that counts.
type Commissioning struct {
	// Robot is the robot's id, "manufacturer/serial".
	Robot string `json:"robot"`
	// Profile is the SHA-256 of the robot profile whose claims were tested, 64 lower-case hexadecimal digits.
	Profile string `json:"profile_sha256"`
	// BootID is the boot in which it was measured, a lower-case UUID.
	BootID string `json:"boot_id"`
	// Measured is when the test ended, Due when the next has to have been done, both in UTC, whole seconds.
	Measured time.Time `json:"-"`
	Due      time.Time `json:"-"`
	// MPS is the highest speed in m/s that the test allowed.
	MPS float64 `json:"speed_mps"`
	// Items are what was tested, 1 to 48, each name once.
	Items []CommissioningItem `json:"items"`
}

// CommissioningItem is one thing that was tested.
type CommissioningItem struct {
	// Name is what, 1 to 64 of a-z, 0-9 and "._-".
	Name string `json:"name"`
	// Result is one of the results.
	Result string `json:"result"`
	// Unit is that of the figures, empty without any: Value is the worst that was measured, Error by how much that may be off,
	// Mean what was measured on the mean, Limit what the profile claims. All are finite and not negative.
	Unit  string  `json:"unit,omitempty"`
	Value float64 `json:"value"`
	Error float64 `json:"error"`
	Mean  float64 `json:"mean"`
	Limit float64 `json:"limit"`
	// Text says it for people, in one line.
	Text string `json:"text"`
}

// Enough reports whether every item passed.
func (c *Commissioning) Enough() bool {
	return len(c.Items) > 0 && !slices.ContainsFunc(c.Items, func(i CommissioningItem) bool { return i.Result != ItemPassed })
}

// Validate checks the form of a record and gives the first fault.
func (c *Commissioning) Validate() error {
	switch {
	case !IsRobotID(c.Robot):
		return fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", clip(c.Robot))
	case !isHex(c.Profile, 64, 64):
		return fmt.Errorf("profile_sha256: found %q: expected 64 lower-case hexadecimal digits", clip(c.Profile))
	case !isBootID(c.BootID):
		return fmt.Errorf("boot_id: found %q: expected a lower-case UUID", clip(c.BootID))
	case !(c.MPS > 0 && c.MPS <= maxTestedMPS):
		return fmt.Errorf("speed_mps: found %v: expected above 0 and at most %v", c.MPS, maxTestedMPS)
	case len(c.Items) == 0 || len(c.Items) > maxItems:
		return fmt.Errorf("items: has %d entries: expected 1 to %d", len(c.Items), maxItems)
	}
	for i := range c.Items {
		if err := c.Items[i].check(); err != nil {
			return fmt.Errorf("items[%d].%w", i, err)
		}
		if slices.ContainsFunc(c.Items[:i], func(o CommissioningItem) bool { return o.Name == c.Items[i].Name }) {
			return fmt.Errorf("items[%d].name: %q comes twice", i, c.Items[i].Name)
		}
	}
	if err := checkMoment("measured_at", c.Measured); err != nil {
		return err
	}
	if err := checkMoment("due", c.Due); err != nil {
		return err
	}
	if span := c.Due.Sub(c.Measured); span <= 0 || span > maxDue {
		return fmt.Errorf("due: is %s after measured_at: expected more than 0 and at most %s", span, maxDue)
	}
	return nil
}

// maxTestedMPS is the fastest that a profile may be, in m/s.
const maxTestedMPS = 15.0

func (i *CommissioningItem) check() error {
	switch {
	case !isName(i.Name, "._-"):
		return fmt.Errorf("name: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\"", clip(i.Name))
	case i.Result != ItemPassed && i.Result != ItemFailed && i.Result != ItemNotMeasured:
		return fmt.Errorf("result: found %q: expected %q, %q or %q", clip(i.Result), ItemPassed, ItemFailed, ItemNotMeasured)
	case i.Unit != "" && !isWord(i.Unit, "/"):
		return fmt.Errorf("unit: found %q: expected one like \"m/s2\"", clip(i.Unit))
	case len(i.Text) > maxItemText:
		return fmt.Errorf("text: has %d bytes: expected 1 to %d", len(i.Text), maxItemText)
	}
	for _, f := range [...]struct {
		name  string
		value float64
	}{{"value", i.Value}, {"error", i.Error}, {"mean", i.Mean}, {"limit", i.Limit}} {
		if !(f.value >= 0 && f.value <= math.MaxFloat32) || i.Unit == "" && f.value != 0 {
			return fmt.Errorf("%s: found %v: expected a finite number from 0, and 0 without a unit", f.name, f.value)
		}
	}
	if err := checkReason(i.Text); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	return nil
}

// Encode checks the record and writes it as JSON: no spaces, the keys in FORMAT.md's order.
func (c *Commissioning) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("commissioning: %w", err)
	}
	type plain Commissioning // Without this type's methods.
	return marshalPlain(struct {
		plain
		Measured string `json:"measured_at"`
		Due      string `json:"due"`
	}{plain(*c), stamp(c.Measured), stamp(c.Due)})
}

// DecodeCommissioning reads a record that [Verifier.VerifyDocument] has returned, or one that is to be signed. A refusal is an
// [Error].
func DecodeCommissioning(payload []byte) (*Commissioning, error) {
	c := &Commissioning{}
	err := readDocument(payload, func(o *object) {
		c.Robot, c.Profile, c.BootID = o.str("robot"), o.str("profile_sha256"), o.str("boot_id")
		c.MPS, c.Measured, c.Due = o.float("speed_mps"), o.moment("measured_at"), o.moment("due")
		items := o.array("items", maxItems)
		for i := range items {
			e := asObject(&items[i], fmt.Sprintf("items[%d]", i), o.fault)
			c.Items = append(c.Items, CommissioningItem{
				Name: e.str("name"), Result: e.str("result"), Unit: e.optStr("unit"), Value: e.float("value"), Error: e.float("error"),
				Mean: e.float("mean"), Limit: e.float("limit"), Text: e.str("text"),
			})
			e.done()
		}
	})
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "the record of the proof test is not well formed", Remedy: "sign what `robowarden commission` wrote, unchanged", Err: err}
	}
	return c, nil
}

//go:build !qualify

package interlock

// nuisanceHours is how many hours of clean driving are simulated on each link.
const nuisanceHours = 4

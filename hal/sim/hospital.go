package sim

import "math"

// Rooms of the hospital along the corridor: where walls between them stand, and where their doors are.
const (
	hospitalX, hospitalY     = 40.0, 24.0
	corridorLow, corridorTop = 10.0, 14.0
	doorHalf                 = 0.9
)

// Hospital is the demonstration's building: two storeys of 40 × 24 m, a corridor from y 10 to 14 with stairs at its west
// end and the lift at its east end, rooms to the north and the south.
func Hospital() Building {
	b := Building{
		Floors: []Floor{
			{Name: "ground", MapID: "hospital-ground", Walls: storey(
				[]float64{0, 8, 20, 32, 40}, []float64{4, 14, 26, 36},
				[]float64{0, 6, 18, 28, 40}, []float64{4.8, 12, 23, 34})},
			{Name: "upper", MapID: "hospital-upper", ZM: 4, Walls: storey(
				[]float64{0, 12, 24, 36, 40}, []float64{6, 18, 30, 38},
				[]float64{0, 12, 20, 40}, []float64{6, 16, 30})},
		},
		Dock: Placement{Floor: "ground", X: 1.5, Y: 5, Yaw: math.Pi}, DockPlace: "dock-front",
	}
	at := func(name, floor string, x, y float64) {
		b.Places = append(b.Places, Place{name, floor, Point{x, y}})
	}
	link := func(names ...string) {
		for i := 1; i < len(names); i++ {
			b.Links = append(b.Links, [2]string{names[i-1], names[i]})
		}
	}
	at("dock-front", "ground", 4.8, 5)
	at("dock-door", "ground", 4.8, 9)
	at("corridor-dock", "ground", 4.8, 11.5)
	at("corridor-kitchen", "ground", 12, 11.5)
	at("corridor-ward-a", "ground", 14, 11.5)
	at("corridor-laundry", "ground", 23, 11.5)
	at("corridor-ward-b", "ground", 26, 11.5)
	at("corridor-lift", "ground", 34.5, 12)
	at("lift-ground", "ground", 38.6, 12)
	at("kitchen", "ground", 12, 6)
	at("ward-a-door", "ground", 14, 13)
	at("ward-a", "ground", 14, 18)
	at("laundry", "ground", 23, 6)
	at("ward-b-door", "ground", 26, 13)
	at("ward-b", "ground", 26, 18)
	link("dock-front", "dock-door", "corridor-dock", "corridor-kitchen", "corridor-ward-a", "corridor-laundry",
		"corridor-ward-b", "corridor-lift", "lift-ground")
	link("corridor-kitchen", "kitchen")
	link("corridor-ward-a", "ward-a-door", "ward-a")
	link("corridor-laundry", "laundry")
	link("corridor-ward-b", "ward-b-door", "ward-b")

	at("lift-upper", "upper", 38.6, 12)
	at("upper-corridor-lift", "upper", 34.5, 12)
	at("upper-corridor-day-room", "upper", 30, 12)
	at("upper-corridor-ward-d", "upper", 18, 12)
	at("upper-corridor-ward-c", "upper", 6, 12)
	at("day-room", "upper", 30, 6)
	at("ward-d", "upper", 18, 18)
	at("ward-c", "upper", 6, 18)
	link("lift-upper", "upper-corridor-lift", "upper-corridor-day-room", "upper-corridor-ward-d", "upper-corridor-ward-c")
	link("upper-corridor-day-room", "day-room")
	link("upper-corridor-ward-d", "ward-d")
	link("upper-corridor-ward-c", "ward-c")
	b.Lifts = [][2]string{{"lift-ground", "lift-upper"}}
	return b
}

// storey draws the outer walls, the walls between rooms and the corridor's walls with their doors.
func storey(north, northDoors, south, southDoors []float64) [][]Point {
	walls := [][]Point{
		{{0, 0}, {hospitalX, 0}, {hospitalX, hospitalY}, {0, hospitalY}, {0, 0}},
		{{37, corridorLow}, {37, 11}}, {{37, 13}, {37, corridorTop}}, {{3, corridorLow}, {3, corridorTop}},
	}
	for _, x := range north[1 : len(north)-1] {
		walls = append(walls, []Point{{x, corridorTop}, {x, hospitalY}})
	}
	for _, x := range south[1 : len(south)-1] {
		walls = append(walls, []Point{{x, 0}, {x, corridorLow}})
	}
	walls = append(walls, pierced(corridorTop, northDoors)...)
	return append(walls, pierced(corridorLow, southDoors)...)
}

// pierced is a wall along the building with doors at the given places.
func pierced(y float64, doors []float64) [][]Point {
	var walls [][]Point
	from := 0.0
	for _, d := range doors {
		walls = append(walls, []Point{{from, y}, {d - doorHalf, y}})
		from = d + doorHalf
	}
	return append(walls, []Point{{from, y}, {hospitalX, y}})
}

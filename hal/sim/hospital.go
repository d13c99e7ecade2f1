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
		Lifts: [][2]string{{"lift-ground", "lift-upper"}},
	}
	b.groundFloor()
	b.upperFloor()
	return b
}

func (b *Building) groundFloor() {
	b.way("ground", Place{Name: "dock-front", Point: Point{4.8, 5}}, Place{Name: "dock-door", Point: Point{4.8, 9}},
		Place{Name: "corridor-dock", Point: Point{4.8, 11.5}}, Place{Name: "corridor-kitchen", Point: Point{12, 11.5}},
		Place{Name: "corridor-ward-a", Point: Point{14, 11.5}}, Place{Name: "corridor-laundry", Point: Point{23, 11.5}},
		Place{Name: "corridor-ward-b", Point: Point{26, 11.5}}, Place{Name: "corridor-lift", Point: Point{34.5, 12}},
		Place{Name: "lift-ground", Point: Point{38.6, 12}})
	b.way("ground", Place{Name: "corridor-kitchen"}, Place{Name: "kitchen", Point: Point{12, 6}})
	b.way("ground", Place{Name: "corridor-laundry"}, Place{Name: "laundry", Point: Point{23, 6}})
	b.way("ground", Place{Name: "corridor-ward-a"}, Place{Name: "ward-a-door", Point: Point{14, 13}},
		Place{Name: "ward-a", Point: Point{14, 18}})
	b.way("ground", Place{Name: "corridor-ward-b"}, Place{Name: "ward-b-door", Point: Point{26, 13}},
		Place{Name: "ward-b", Point: Point{26, 18}})
}

func (b *Building) upperFloor() {
	b.way("upper", Place{Name: "lift-upper", Point: Point{38.6, 12}}, Place{Name: "upper-corridor-lift", Point: Point{34.5, 12}},
		Place{Name: "upper-corridor-day-room", Point: Point{30, 12}}, Place{Name: "upper-corridor-ward-d", Point: Point{18, 12}},
		Place{Name: "upper-corridor-ward-c", Point: Point{6, 12}})
	b.way("upper", Place{Name: "upper-corridor-day-room"}, Place{Name: "day-room", Point: Point{30, 6}})
	b.way("upper", Place{Name: "upper-corridor-ward-d"}, Place{Name: "ward-d", Point: Point{18, 18}})
	b.way("upper", Place{Name: "upper-corridor-ward-c"}, Place{Name: "ward-c", Point: Point{6, 18}})
}

// way links places one after the other, and adds those that are not there yet.
func (b *Building) way(floor string, places ...Place) {
	before := ""
	for _, p := range places {
		p.Floor = floor
		if b.index(p.Name) < 0 {
			b.Places = append(b.Places, p)
		}
		if before != "" {
			b.Links = append(b.Links, [2]string{before, p.Name})
		}
		before = p.Name
	}
}

// storey draws the outer walls, the walls between rooms and the corridor's walls with their doors.
func storey(north, northDoors, south, southDoors []float64) [][]Point {
	walls := [][]Point{
		{{0, 0}, {hospitalX, 0}, {hospitalX, hospitalY}, {0, hospitalY}, {0, 0}},
		{{37, corridorLow}, {37, 11}},
		{{37, 13}, {37, corridorTop}},
		{{3, corridorLow}, {3, corridorTop}},
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

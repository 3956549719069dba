package netfake

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Place is a point on the earth. The zero Place is nowhere in particular: it is at
// no distance from anything.
type Place struct {
	City    string
	Country string  // ISO 3166-1 alpha-2
	Lat     float64 // degrees, north positive
	Lon     float64 // degrees, east positive
}

// Some places, at their city centres.
var (
	Melbourne = Place{"Melbourne", "AU", -37.81, 144.96}
	Sydney    = Place{"Sydney", "AU", -33.87, 151.21}
	Singapore = Place{"Singapore", "SG", 1.35, 103.82}
	Tokyo     = Place{"Tokyo", "JP", 35.68, 139.69}
	Frankfurt = Place{"Frankfurt", "DE", 50.11, 8.68}
	London    = Place{"London", "GB", 51.51, -0.13}
	Ashburn   = Place{"Ashburn", "US", 39.04, -77.49}
	Portland  = Place{"Portland", "US", 45.52, -122.68}
)

// String returns the city; without one the coordinates, or "somewhere" for the zero
// Place.
func (p Place) String() string {
	switch {
	case p.City != "":
		return p.City
	case p == Place{}:
		return "somewhere"
	}
	return fmt.Sprintf("%g,%g", p.Lat, p.Lon)
}

// before orders places, so that a pair of them has one name.
func (p Place) before(q Place) bool {
	return cmp.Or(cmp.Compare(p.City, q.City), cmp.Compare(p.Country, q.Country),
		cmp.Compare(p.Lat, q.Lat), cmp.Compare(p.Lon, q.Lon)) < 0
}

const (
	earthRadius = 6371.0088e3       // metres, IUGG mean radius
	fibreSpeed  = 299792458 * 2 / 3 // metres a second: light in glass, about two thirds of c
)

// Distance returns the great-circle distance in metres.
func (p Place) Distance(q Place) float64 {
	if p == (Place{}) || q == (Place{}) {
		return 0
	}
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	dLat, dLon := rad(q.Lat-p.Lat), rad(q.Lon-p.Lon)
	a := math.Pow(math.Sin(dLat/2), 2) + math.Cos(rad(p.Lat))*math.Cos(rad(q.Lat))*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthRadius * math.Asin(math.Sqrt(a))
}

// Delay returns how long light in a straight fibre takes from p to q, rounded to a
// microsecond.
func (p Place) Delay(q Place) time.Duration {
	seconds := p.Distance(q) / fibreSpeed
	return time.Duration(seconds * 1e9).Round(time.Microsecond)
}

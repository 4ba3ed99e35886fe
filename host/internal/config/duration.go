package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var durationPart = regexp.MustCompile(`^([0-9]+)(w|d|h|m|s|ms)`)

// ParseDuration reads "3d", "36h", "1d12h", "90m", "1w", or "0". A number
// without a unit, other than 0, is refused, and so is anything negative.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errors.New(`it is empty: write "3d", "36h", or "0" for none`)
	}
	units := map[string]time.Duration{"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second, "ms": time.Millisecond}
	var total time.Duration
	for rest := s; rest != ""; {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf(`%q is no duration: write "3d", "36h", "1d12h", "90m", or "0" for none`, s)
		}
		// "ms" must win over "m" followed by something.
		n, err := strconv.ParseInt(m[1], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is too long", s)
		}
		unit := m[2]
		rest = rest[len(m[0]):]
		if unit == "m" && rest != "" && rest[0] == 's' {
			unit, rest = "ms", rest[1:]
		}
		total += time.Duration(n) * units[unit]
		if total < 0 || total > 100*365*24*time.Hour {
			return 0, fmt.Errorf("%q is longer than a hundred years", s)
		}
	}
	return total, nil
}

package main

import (
	"fmt"
	"strings"
)

// ordering is the order in which entries are wanted; nil: as they come.
type ordering []orderTerm

// orderTerm is a property to order by.
type orderTerm struct {
	by      *expression
	falling bool
}

// parseOrdering reads properties to order by ("Id desc, Version").
func parseOrdering(text string) (ordering, error) {
	var all ordering
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		switch {
		case len(words) == 0 && strings.TrimSpace(text) == "":
			return nil, nil
		case len(words) == 0 || len(words) > 2:
			return nil, fmt.Errorf("%q is no order", part)
		}
		by, err := propertyOf(words[0])
		if err != nil {
			return nil, err
		}
		t := orderTerm{by: by}
		if len(words) == 2 {
			switch t.falling = strings.EqualFold(words[1], "desc"); {
			case !t.falling && !strings.EqualFold(words[1], "asc"):
				return nil, fmt.Errorf("%q is neither asc nor desc", words[1])
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// compare orders two entries.
func (o ordering) compare(a, b row) int {
	for _, t := range o {
		c := order(t.by.kind, isVersion(t.by.property), t.by.value(a), t.by.value(b))
		if t.falling {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

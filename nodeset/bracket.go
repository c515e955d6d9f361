package nodeset

import (
	"fmt"
	"strings"
)

// A bracket is what was read between [ and ], with the digits before it.
type bracket struct {
	offset  int // of the text inside
	text    string
	leading string
}

// hole makes the index set of a bracket. Digits beside it belong to the
// index, and ranges are ranges of the whole number, as in ClusterShell: 1[2-4]
// is 12-14, 1[8-12] is 18-112, [1-3]5 is 15-35/10.
func (br *bracket) hole(trailing string, b *budget) (hole, error) {
	ivs, err := parseIntervals(br.text)
	if err != nil {
		return hole{}, err
	}
	if trailing != "" {
		if ivs, err = shift(ivs, br.text, trailing); err != nil {
			return hole{}, err
		}
	}
	var negative, positive []interval
	for _, iv := range ivs {
		n, p := iv.split()
		negative, positive = append(negative, n...), append(positive, p...)
	}
	if len(negative) > 0 && trailing+br.leading != "" {
		return hole{}, &rangeError{part: br.text, msg: "negative indexes cannot have digits beside the brackets"}
	}
	var h hole
	if h.negative, err = spans(negative, b); err != nil {
		return hole{}, err
	}
	if h.spans, err = spans(positive, b); err != nil {
		return hole{}, err
	}
	if br.leading != "" {
		h.spans, err = prefix(h.spans, br.leading, b)
	}
	return h, err
}

// shift appends digits to every index: a range becomes one with a step.
func shift(ivs []interval, text, trailing string) ([]interval, error) {
	if strings.Contains(text, "/") {
		return nil, &rangeError{part: text, msg: "digits cannot follow a range with a step"}
	}
	var shifted []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		first, last, isRange := cutBounds(part)
		if isRange {
			part = fmt.Sprintf("%s%s-%s%s/1%s", first, trailing, last, trailing, strings.Repeat("0", len(trailing)))
		} else {
			part += trailing
		}
		shifted = append(shifted, part)
	}
	if len(ivs) == 0 {
		return nil, nil
	}
	return parseIntervals(strings.Join(shifted, ","))
}

// prefix puts digits before every bound of the contiguous runs.
func prefix(all []span, leading string, b *budget) ([]span, error) {
	var text []byte
	for i, r := range runs(all, noSteps) {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendPadded(append(text, leading...), r.first, r.pad)
		if r.last > r.first {
			text = append(append(text, '-'), leading...)
			text = appendPadded(text, r.last, r.pad)
		}
	}
	ivs, err := parseIntervals(string(text))
	if err != nil {
		return nil, err
	}
	return spans(ivs, b)
}

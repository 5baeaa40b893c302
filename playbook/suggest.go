package playbook

import (
	"fmt"
	"strings"
)

// didYouMean names the word nearest to wrong as a question that begins with
// "; ", or gives nothing when none is near.
func didYouMean(wrong string, words []string) string {
	if best := nearest(wrong, words); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearest is the word that is at most a third of its letters away from wrong.
func nearest(wrong string, words []string) string {
	if len(wrong) > 64 {
		return ""
	}
	best, least := "", max(1, min(3, len(wrong)/3))+1
	for _, w := range words {
		if d := distance(strings.ToLower(wrong), strings.ToLower(w)); d < least && w != wrong {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to add, drop, change or swap with a neighbour.
func distance(a, b string) int {
	if len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return 4
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// anyOf writes words as "a, b or c".
func anyOf(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// allOf writes words as "a, b and c".
func allOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// Package score says how much an alert deserves attention: 0 to 100, with every
// reason and its points, by a rule file that an installation can change. It knows
// the three bands of scores, what to enrich before a person looks, and which
// alerts a rule may close by itself and when it must stop doing so. The package
// is pure: what is known of an alert arrives as Facts, and the time as an
// argument; the same alert with the same facts has the same score.
package score

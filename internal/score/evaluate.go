package score

import (
	"cmp"
	"math"
	"slices"

	"riposte/internal/alert"
)

// Labelled is an alert whose outcome is known, with the score that it got.
type Labelled struct {
	Name    string // how people find it: its place and title
	Source  string
	Rule    string // its detection
	Outcome string // true_positive, benign_positive, false_positive
	Score   int
	Band    alert.Band
}

// Table tells how well scores fit outcomes. Positive is a true positive; the
// others are negative: nobody has to act on them.
type Table struct {
	Alerts    int            `json:"alerts"`
	Confusion []ConfusionRow `json:"confusion"`
	// Of the band automatic.
	Automatic Rates `json:"automatic"`
	// Of the band automatic and the band analyst together: what a person or a
	// playbook gets to see.
	Shown Rates `json:"shown"`
	// The dangerous error: true positives in the band false_positive.
	MissedShare float64  `json:"missed_share"` // of all true positives
	Missed      []Missed `json:"missed"`
	// NoiseShare is the share of negatives that nobody has to look at.
	NoiseShare  float64    `json:"noise_share"`
	AUC         *float64   `json:"auc,omitempty"` // the chance that a true positive has the higher score of two; absent where one kind is missing
	Calibration []Decile   `json:"calibration"`
	ByRule      []GroupRow `json:"by_rule"`
	BySource    []GroupRow `json:"by_source"`
}

// Missed is a true positive that would not have been seen.
type Missed struct {
	Alert  string `json:"alert"`
	Source string `json:"source"`
	Rule   string `json:"rule"`
	Score  int    `json:"score"`
}

// ConfusionRow is how many alerts of one outcome are in each band.
type ConfusionRow struct {
	Outcome       string `json:"outcome"`
	FalsePositive int    `json:"false_positive"`
	Analyst       int    `json:"analyst"`
	Automatic     int    `json:"automatic"`
}

// Rates are precision and recall with their 95 % intervals (Wilson). Few alerts
// make wide ones.
type Rates struct {
	Alerts      int        `json:"alerts"` // in the band
	True        int        `json:"true"`
	Precision   *float64   `json:"precision,omitempty"` // absent where nothing is in the band
	PrecisionCI [2]float64 `json:"precision_95"`
	Recall      *float64   `json:"recall,omitempty"` // absent where there is no true positive
	RecallCI    [2]float64 `json:"recall_95"`
}

// Decile is how often alerts of one tenth of the scores are true positives.
type Decile struct {
	From  int      `json:"from"`
	To    int      `json:"to"`
	Total int      `json:"alerts"`
	True  int      `json:"true"`
	Share *float64 `json:"share,omitempty"`
}

// GroupRow is the table of one rule or source.
type GroupRow struct {
	Name      string   `json:"name"`
	Alerts    int      `json:"alerts"`
	True      int      `json:"true"`
	Missed    int      `json:"missed"`    // true positives in the band false_positive
	Automatic int      `json:"automatic"` // negatives in the band automatic
	AUC       *float64 `json:"auc,omitempty"`
}

// Outcomes are the outcomes in the order of the table.
var Outcomes = []string{"true_positive", "benign_positive", "false_positive"}

// Evaluate makes the table of labelled alerts.
func Evaluate(all []Labelled) Table {
	t := Table{Alerts: len(all), Missed: []Missed{}}
	for _, o := range Outcomes {
		row := ConfusionRow{Outcome: o}
		for _, x := range all {
			if x.Outcome != o {
				continue
			}
			switch x.Band {
			case alert.Automatic:
				row.Automatic++
			case alert.ForAnalyst:
				row.Analyst++
			case alert.FalsePositive:
				row.FalsePositive++
			}
		}
		t.Confusion = append(t.Confusion, row)
	}
	pos := t.Confusion[0]
	neg := ConfusionRow{
		FalsePositive: t.Confusion[1].FalsePositive + t.Confusion[2].FalsePositive,
		Analyst:       t.Confusion[1].Analyst + t.Confusion[2].Analyst, Automatic: t.Confusion[1].Automatic + t.Confusion[2].Automatic,
	}
	t.Automatic = rates(pos.Automatic, neg.Automatic, pos.total())
	t.Shown = rates(pos.Automatic+pos.Analyst, neg.Automatic+neg.Analyst, pos.total())
	t.MissedShare, t.NoiseShare = share(pos.FalsePositive, pos.total()), share(neg.FalsePositive, neg.total())
	for _, x := range all {
		if x.Outcome == Outcomes[0] && x.Band == alert.FalsePositive {
			t.Missed = append(t.Missed, Missed{x.Name, x.Source, x.Rule, x.Score})
		}
	}
	t.AUC, t.Calibration = auc(all), deciles(all)
	t.ByRule = grouped(all, func(x Labelled) string { return x.Rule })
	t.BySource = grouped(all, func(x Labelled) string { return x.Source })
	return t
}

func (r ConfusionRow) total() int { return r.FalsePositive + r.Analyst + r.Automatic }

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

func rates(hit, wrong, positives int) Rates {
	r := Rates{Alerts: hit + wrong, True: hit, PrecisionCI: wilson(hit, hit+wrong), RecallCI: wilson(hit, positives)}
	if r.Alerts > 0 {
		p := share(hit, r.Alerts)
		r.Precision = &p
	}
	if positives > 0 {
		p := share(hit, positives)
		r.Recall = &p
	}
	return r
}

// wilson is the interval in which a share lies with 95 % confidence.
func wilson(k, n int) [2]float64 {
	if n == 0 {
		return [2]float64{0, 1}
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return [2]float64{max(0, mid-half), min(1, mid+half)}
}

// auc is the share of pairs of a true positive and a negative in which the true
// one has the higher score; equal scores count half.
func auc(all []Labelled) *float64 {
	var pos, neg [101]int
	p, n := 0, 0
	for _, x := range all {
		s := max(0, min(x.Score, 100))
		if x.Outcome == Outcomes[0] {
			pos[s]++
			p++
		} else {
			neg[s]++
			n++
		}
	}
	if p == 0 || n == 0 {
		return nil
	}
	sum, below := 0.0, 0
	for s := range pos {
		sum += float64(pos[s]) * (float64(below) + float64(neg[s])/2)
		below += neg[s]
	}
	sum /= float64(p) * float64(n)
	return &sum
}

func deciles(all []Labelled) []Decile {
	list := make([]Decile, 10)
	for i := range list {
		list[i].From, list[i].To = i*10, i*10+9
	}
	list[9].To = 100
	for _, x := range all {
		d := &list[min(max(x.Score, 0)/10, 9)]
		d.Total++
		if x.Outcome == Outcomes[0] {
			d.True++
		}
	}
	for i := range list {
		if d := &list[i]; d.Total > 0 {
			s := share(d.True, d.Total)
			d.Share = &s
		}
	}
	return list
}

// grouped makes a row for each name, those with missed alerts first.
func grouped(all []Labelled, name func(Labelled) string) []GroupRow {
	of := map[string][]Labelled{}
	for _, x := range all {
		of[name(x)] = append(of[name(x)], x)
	}
	rows := make([]GroupRow, 0, len(of))
	for n, list := range of {
		row := GroupRow{Name: n, Alerts: len(list), AUC: auc(list)}
		for _, x := range list {
			switch positive := x.Outcome == Outcomes[0]; {
			case positive && x.Band == alert.FalsePositive:
				row.True, row.Missed = row.True+1, row.Missed+1
			case positive:
				row.True++
			case x.Band == alert.Automatic:
				row.Automatic++
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b GroupRow) int {
		return cmp.Or(cmp.Compare(b.Missed, a.Missed), cmp.Compare(b.Automatic, a.Automatic), cmp.Compare(b.Alerts, a.Alerts), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

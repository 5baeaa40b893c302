package draw

import (
	"bytes"
	"fmt"
	"html"
	"strings"

	"riposte/playbook"
)

// SVG draws a playbook. The picture stands alone: system fonts, light and dark
// by the reader's own setting, no scripts, nothing loaded from elsewhere.
func SVG(c *playbook.Checked) []byte {
	l := layout{c}
	body := l.list(c.Playbook.Steps)
	head := start(c.Playbook)
	parts := []box{head, body}
	if h := c.Playbook.OnError; h != nil {
		if len(h.Do) > 0 {
			parts = append(parts, frame(l.list(h.Do), "handler", "on error, for the whole run"))
		} else {
			parts = append(parts, pill("on error: "+h.Word))
		}
	}
	if len(c.Playbook.Finally) > 0 {
		parts = append(parts, frame(l.list(c.Playbook.Finally), "finally", "finally, always"))
	}
	return compose(c.Playbook, parts)
}

const margin = 28.0

// compose puts the parts under each other and writes the file.
func compose(pb *playbook.Playbook, parts []box) []byte {
	left, right, height := cardWidth/2, cardWidth/2, margin+44.0
	for _, b := range parts {
		left, right = max(left, b.left), max(right, b.right)
		height += b.height + gap
	}
	width := left + right + 2*margin
	p := &pen{}
	axis, y := margin+left, margin+44.0
	p.text("heading", margin, margin+8, short(pb.Title.Value, int(width/9)))
	p.text("small", margin, margin+28, short(pb.ID.Value, int(width/7)))
	for i, b := range parts {
		b.draw(p, axis, y)
		y += b.height
		if i == 0 {
			p.arrow(axis, y, axis, y+gap)
		}
		y += gap
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`, width, height+margin, width, height+margin)
	fmt.Fprintf(&out, "\n<title>%s</title>\n", escape(oneLine(pb.Title.Value)))
	if pb.Description.Set() {
		fmt.Fprintf(&out, "<desc>%s</desc>\n", escape(oneLine(pb.Description.Value)))
	}
	out.WriteString(style)
	fmt.Fprintf(&out, `<rect class="paper" width="%.0f" height="%.0f"/>`+"\n", width, height+margin)
	out.Write(p.under.Bytes())
	out.Write(p.over.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// start lists what starts the playbook.
func start(pb *playbook.Playbook) box {
	var lines []string
	for _, t := range pb.On {
		lines = append(lines, trigger(t))
	}
	if len(lines) == 0 {
		lines = []string{"by hand"}
	}
	height := 24 + lineHeight*float64(len(lines))
	const wide = 400.0
	return box{left: wide / 2, right: wide / 2, height: height, draw: func(p *pen, axis, top float64) {
		fmt.Fprintf(&p.over, `<rect class="start" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="14"/>`+"\n", axis-wide/2, top, wide, height)
		for i, line := range lines {
			p.text("line", axis-wide/2+16, top+24+lineHeight*float64(i), short(line, 58))
		}
	}}
}

// pill is one line in a rounded border.
func pill(text string) box {
	return box{left: cardWidth / 2, right: cardWidth / 2, height: 28, draw: func(p *pen, axis, top float64) {
		fmt.Fprintf(&p.over, `<rect class="start" x="%.1f" y="%.1f" width="%.1f" height="28" rx="14"/>`+"\n", axis-cardWidth/2, top, cardWidth)
		p.text("line", axis-cardWidth/2+16, top+18, short(text, lineChars))
	}}
}

// pen writes shapes: frames and lines under the cards.
type pen struct {
	under, over bytes.Buffer
}

// escape makes any text safe inside SVG.
func escape(text string) string { return html.EscapeString(text) }

func (p *pen) text(class string, x, y float64, text string) {
	fmt.Fprintf(&p.over, `<text class="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, x, y, escape(oneLine(text)))
}

func (p *pen) line(x1, y1, x2, y2 float64) { p.path("flow", x1, y1, x2, y2) }

func (p *pen) dashed(x1, y1, x2, y2 float64) { p.path("flow dashed", x1, y1, x2, y2) }

func (p *pen) path(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&p.under, `<path class="%s" d="M%.1f %.1fL%.1f %.1f"/>`+"\n", class, x1, y1, x2, y2)
}

// arrow is a line with a head at its end; it goes down or to the right.
func (p *pen) arrow(x1, y1, x2, y2 float64) {
	p.line(x1, y1, x2, y2)
	if y2 != y1 {
		fmt.Fprintf(&p.under, `<path class="head" d="M%.1f %.1fl-4.5 -8h9z"/>`+"\n", x2, y2)
		return
	}
	fmt.Fprintf(&p.under, `<path class="head" d="M%.1f %.1fl-8 -4.5v9z"/>`+"\n", x2, y2)
}

// branch leads from the axis to a column.
func (p *pen) branch(axis, at, from, to float64) {
	p.line(axis, from, at, from)
	p.line(at, from, at, to)
}

// join leads from a column back to the axis.
func (p *pen) join(axis, at, from, to float64) {
	p.line(at, from, at, to)
	p.line(at, to, axis, to)
}

func (p *pen) bar(x1, x2, y float64) {
	fmt.Fprintf(&p.under, `<path class="bar" d="M%.1f %.1fH%.1f"/>`+"\n", x1, y, x2)
}

// label is the name of a branch.
func (p *pen) label(text string, x, y float64) {
	text = short(text, 18)
	width := 7.2*float64(len([]rune(text))) + 18
	fmt.Fprintf(&p.over, `<rect class="label" x="%.1f" y="%.1f" width="%.1f" height="18" rx="9"/>`, x-width/2, y-3, width)
	fmt.Fprintf(&p.over, `<text class="small middle" x="%.1f" y="%.1f">%s</text>`+"\n", x, y+10, escape(text))
	p.line(x, y+15, x, y+labelHeight)
}

func (p *pen) frame(class string, x, y, width, height float64) {
	fmt.Fprintf(&p.under, `<rect class="frame %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="12"/>`+"\n", class, x, y, width, height)
}

// card draws one step.
func (p *pen) card(s *playbook.Step, c card, f playbook.StepFacts, x, y, height float64) {
	w := &p.over
	fmt.Fprintf(w, `<g class="step" data-line="%d" data-step="%s"><title>%s</title>`, s.Pos.Line, escape(oneLine(s.ID.Value)), escape(strings.TrimSpace(tip(c.full))))
	radius := 8.0
	if s.Verb == playbook.Stop {
		radius = height / 2
	}
	fmt.Fprintf(w, `<rect class="card %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f"/>`, s.Verb, x, y, cardWidth, height, min(radius, 20))
	if s.Verb == playbook.Call {
		fmt.Fprintf(w, `<path class="edge" d="M%.1f %.1fv%.1fM%.1f %.1fv%.1f"/>`, x+5, y+4, height-8, x+cardWidth-5, y+4, height-8)
	}
	fmt.Fprintf(w, `<path class="icon" transform="translate(%.1f %.1f)" d="%s"/>`+"\n", x+14, y+12, icons[s.Verb])
	p.text("title", x+40, y+25, short(c.title, titleChars))
	at := y + titleHeight + 2
	if c.detail != "" {
		p.text("line", x+40, at, short(c.detail, lineChars-5))
		at += lineHeight
	}
	for _, line := range c.lines {
		p.text("small", x+40, at, short(line, lineChars-4))
		at += lineHeight
	}
	if f.Changes {
		p.impact(f, x+40, at-2)
	}
	w.WriteString("</g>\n")
}

// tip keeps the line breaks of a tool tip and drops what cannot be shown.
func tip(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = oneLine(l)
	}
	return strings.Join(lines, "\n")
}

// impact says by shape and word how much a step may alter.
func (p *pen) impact(f playbook.StepFacts, x, y float64) {
	word := f.Impact.String()
	fmt.Fprintf(&p.over, `<path class="impact %s" transform="translate(%.1f %.1f)" d="%s"/>`, word, x, y-10, shapes[f.Impact])
	if !f.Loaded {
		word += " (not loaded)"
	}
	p.text("small impact-word "+f.Impact.String(), x+18, y, word)
}

// shapes of the impacts, in the order of harm: circle, square, diamond, octagon.
var shapes = [...]string{
	"M6 0a6 6 0 1 0 .01 0z", "M1 1h10v10h-10z", "M6 -1l7 7-7 7-7-7z", "M3.5 0h5l3.5 3.5v5l-3.5 3.5h-5l-3.5-3.5v-5z",
}

// icons of the verbs, on a grid of 16, in the order of their constants.
var icons = [...]string{
	playbook.Action:   "M9 1L3 9h4.5L6.5 15 13 6.5H8.5z",
	playbook.Call:     "M3 2h7l3 3v9H3zM10 2v3h3M5.5 8h5M5.5 11h5",
	playbook.If:       "M8 1l7 7-7 7-7-7z",
	playbook.Switch:   "M8 1v5M8 6L2.5 14M8 6l5.5 8M8 6v9",
	playbook.Parallel: "M3 2v12M8 2v12M13 2v12",
	playbook.ForEach:  "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M12 1v3.2H8.8",
	playbook.While:    "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M12 1v3.2H8.8M8 6v2.5l1.5 1",
	playbook.Ask:      "M2 2h12v9H8l-3.5 3V11H2zM6.5 5.2a1.6 1.6 0 1 1 1.6 1.7v.9M8.1 9.4v.2",
	playbook.Set:      "M3 6h10M3 10h10",
	playbook.Wait:     "M8 2a6 6 0 1 0 .01 0zM8 5v3.2l2.2 1.4",
	playbook.Stop:     "M4 4h8v8H4z",
}

const style = `<style>
svg{--paper:#fff;--ink:#1c2430;--soft:#5a6675;--edge:#c4ccd6;--card:#f8fafc;--loop:#f1f5fb;--bad:#fdf3f1;--end:#f2f8f3;--read:#3d7a4e;--notify:#2f6db3;--change:#9a5b00;--destroy:#b3261e;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
@media(prefers-color-scheme:dark){svg{--paper:#12161c;--ink:#e6ebf2;--soft:#a0acbb;--edge:#465262;--card:#1b222b;--loop:#171e29;--bad:#271b1b;--end:#16211a;--read:#7fc793;--notify:#82b4ee;--change:#eeb35a;--destroy:#ff8a80}}
.paper{fill:var(--paper)}text{fill:var(--ink);font-size:12px}.heading{font-size:18px;font-weight:600}.title{font-size:13.5px;font-weight:600}.line{font-size:12px}.small{font-size:11px;fill:var(--soft)}.middle{text-anchor:middle}
.card{fill:var(--card);stroke:var(--edge);stroke-width:1.2}.start{fill:none;stroke:var(--edge);stroke-width:1.2}.stop{stroke:var(--soft);stroke-width:2}.edge{stroke:var(--edge);fill:none}
.icon{fill:none;stroke:var(--soft);stroke-width:1.4;stroke-linejoin:round;stroke-linecap:round}
.flow{stroke:var(--soft);stroke-width:1.3;fill:none;stroke-linecap:round}.dashed{stroke-dasharray:5 4}.head{fill:var(--soft)}.bar{stroke:var(--soft);stroke-width:4;stroke-linecap:round}
.frame{fill:var(--loop);stroke:var(--edge)}.handler{fill:var(--bad);stroke-dasharray:5 4}.finally{fill:var(--end)}.label{fill:var(--paper);stroke:var(--edge)}
.impact{stroke:none}.impact.read{fill:var(--read)}.impact.notify{fill:var(--notify)}.impact.change{fill:var(--change)}.impact.destroy{fill:var(--destroy)}
.impact-word{font-weight:600}text.read{fill:var(--read)}text.notify{fill:var(--notify)}text.change{fill:var(--change)}text.destroy{fill:var(--destroy)}
</style>
`

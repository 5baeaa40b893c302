package draw

import (
	"riposte/playbook"
)

// Sizes of the picture, in pixels.
const (
	cardWidth   = 280.0
	titleHeight = 40.0 // of a card without further lines
	lineHeight  = 16.0
	gap         = 26.0 // between steps, room for an arrow
	columnGap   = 28.0
	labelHeight = 22.0
	framePad    = 16.0
	emptyWidth  = 84.0
	titleChars  = 31
	lineChars   = 44
)

// box is a laid out piece of the flow. The flow enters at its top and leaves at
// its bottom, both on its axis; left and right are how far it reaches from there.
type box struct {
	left, right, height float64
	ends                bool // the flow does not leave it
	draw                func(p *pen, axis, top float64)
}

func (b box) width() float64 { return b.left + b.right }

// layout computes where everything stands.
type layout struct{ checked *playbook.Checked }

// list puts steps under each other, an arrow between them.
func (l layout) list(steps []*playbook.Step) box {
	var parts []box
	out := box{left: emptyWidth / 2, right: emptyWidth / 2}
	for i, s := range steps {
		b := l.step(s)
		parts = append(parts, b)
		out.left, out.right = max(out.left, b.left), max(out.right, b.right)
		out.height += b.height
		if i > 0 {
			out.height += gap
		}
		out.ends = b.ends
	}
	out.draw = func(p *pen, axis, top float64) {
		for i, b := range parts {
			b.draw(p, axis, top)
			top += b.height
			if i+1 < len(parts) {
				if !b.ends {
					p.arrow(axis, top, axis, top+gap)
				}
				top += gap
			}
		}
	}
	return out
}

// step lays out one step and, beside it, its handler.
func (l layout) step(s *playbook.Step) box {
	b := l.verb(s)
	if s.OnError == nil || len(s.OnError.Do) == 0 {
		return b
	}
	side := frame(l.list(s.OnError.Do), "handler", "on error")
	out := box{left: b.left, right: b.right + columnGap + side.width(), height: max(b.height, side.height), ends: b.ends && side.ends}
	out.draw = func(p *pen, axis, top float64) {
		b.draw(p, axis, top)
		at := axis + b.right + columnGap + side.left
		y := top + titleHeight/2
		p.dashed(axis+min(b.right, cardWidth/2), y, at-side.left, y)
		side.draw(p, at, top)
		if !b.ends && b.height < out.height {
			p.line(axis, top+b.height, axis, top+out.height)
		}
		if !side.ends { // the flow goes on after the failed step
			p.dashed(at, top+side.height, at, top+out.height+gap/2)
			p.dashed(at, top+out.height+gap/2, axis, top+out.height+gap/2)
		}
	}
	return out
}

func (l layout) verb(s *playbook.Step) box {
	head := l.card(s)
	switch s.Verb {
	case playbook.If:
		return fork(head, []column{{"then", l.list(s.Then)}, {"else", l.list(s.Else)}}, false)
	case playbook.Switch:
		var columns []column
		for _, b := range s.Branches {
			columns = append(columns, column{b.Name, l.list(b.Do)})
		}
		return fork(head, append(columns, column{"else", l.list(s.Else)}), false)
	case playbook.Parallel:
		var columns []column
		for _, b := range s.Branches {
			columns = append(columns, column{b.Name, l.list(b.Do)})
		}
		return fork(head, columns, true)
	case playbook.ForEach, playbook.While:
		return loop(head, l.list(s.Do))
	default: // nothing to do for the others
	}
	return head
}

// card lays out the rectangle of a step.
func (l layout) card(s *playbook.Step) box {
	c := describe(l.checked, s)
	f := l.checked.Facts(s)
	height := titleHeight + lineHeight*float64(len(c.lines))
	if c.detail != "" {
		height += lineHeight
	}
	if f.Changes {
		height += lineHeight + 4
	}
	b := box{left: cardWidth / 2, right: cardWidth / 2, height: height, ends: s.Verb == playbook.Stop && !s.When.Set()}
	b.draw = func(p *pen, axis, top float64) { p.card(s, c, f, axis-cardWidth/2, top, height) }
	return b
}

// column is one branch of a fork.
type column struct {
	label string
	body  box
}

// fork lays out branches side by side under their head.
func fork(head box, columns []column, bars bool) box {
	width, tallest := 0.0, 0.0
	out := box{ends: len(columns) > 0}
	for i, c := range columns {
		if i > 0 {
			width += columnGap
		}
		width += c.body.width()
		tallest = max(tallest, c.body.height)
		out.ends = out.ends && c.body.ends
	}
	out.left, out.right = max(head.left, width/2), max(head.right, width/2)
	out.height = head.height + gap + labelHeight + tallest + gap
	out.draw = func(p *pen, axis, top float64) {
		head.draw(p, axis, top)
		from, to := top+head.height+gap/2, top+out.height-gap/2
		p.line(axis, top+head.height, axis, from)
		if !out.ends {
			p.line(axis, to, axis, top+out.height)
		}
		x := axis - width/2
		for _, c := range columns {
			at := x + c.body.left
			p.branch(axis, at, from, top+head.height+gap)
			p.label(c.label, at, top+head.height+gap)
			body := top + head.height + gap + labelHeight
			c.body.draw(p, at, body)
			if !c.body.ends {
				p.join(axis, at, body+c.body.height, to)
			}
			x += c.body.width() + columnGap
		}
		if bars && len(columns) > 0 {
			x1 := min(axis, axis-width/2+columns[0].body.left) - 20
			x2 := max(axis, axis+width/2-columns[len(columns)-1].body.right) + 20
			p.bar(x1, x2, from)
			if !out.ends {
				p.bar(x1, x2, to)
			}
		}
	}
	return out
}

// loop lays out a body in a frame, with the way back on its left.
func loop(head, body box) box {
	back := 22.0
	out := box{
		left: max(head.left, body.left) + framePad + back, right: max(head.right, body.right) + framePad,
		height: framePad + head.height + gap + body.height + gap + framePad/2,
	}
	out.draw = func(p *pen, axis, top float64) {
		p.frame("loop", axis-out.left, top, out.width(), out.height)
		head.draw(p, axis, top+framePad)
		below := top + framePad + head.height
		p.arrow(axis, below, axis, below+gap)
		body.draw(p, axis, below+gap)
		if !body.ends {
			x := axis - out.left + back/2 + 4
			bottom := below + gap + body.height
			p.line(axis, bottom, axis, bottom+gap/2)
			p.line(axis, bottom+gap/2, x, bottom+gap/2)
			p.line(x, bottom+gap/2, x, top+framePad+titleHeight/2)
			p.arrow(x, top+framePad+titleHeight/2, axis-cardWidth/2, top+framePad+titleHeight/2)
		}
	}
	return out
}

// frame puts a titled border round a piece.
func frame(body box, class, title string) box {
	out := box{
		left: body.left + framePad, right: body.right + framePad,
		height: labelHeight + framePad/2 + body.height + framePad, ends: body.ends,
	}
	out.draw = func(p *pen, axis, top float64) {
		p.frame(class, axis-out.left, top, out.width(), out.height)
		p.text("small", axis-out.left+12, top+17, title)
		body.draw(p, axis, top+labelHeight+framePad/2)
	}
	return out
}

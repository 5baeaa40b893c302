package run

import "riposte/playbook"

// Pending lists everything that has been asked for and not been answered: what
// must be arranged again after a restart, or when a run comes back from its
// snapshot. Ledger entries are not in it: they were stored with the event that
// made them.
func (s *State) Pending(p *playbook.Plan) []Command {
	s.plan = p
	if s.status.Final() {
		return []Command{&Finish{Status: s.status, Outputs: s.outputs, Error: s.err}}
	}
	s.commands = nil
	for _, a := range s.acts {
		if a.Seq {
			continue
		}
		if a.Deadline != 0 {
			s.do(&Sleep{Act: a.ID, N: a.Deadline, Until: a.DueAt})
		}
		s.pending(a)
		if a.Ending != nil && a.Phase == child || a.Doomed && a.Phase == child {
			s.do(&Drop{Act: a.ID, N: a.Main})
		}
	}
	list := s.commands
	s.commands = nil
	return list
}

func (s *State) pending(a *activation) {
	switch a.Phase {
	case checking:
		d := s.doing(a, s.node(a))
		d.N = a.Main
		s.do(&Check{Act: a.ID, N: a.Main, Action: d})
	case calling:
		d := s.doing(a, s.node(a))
		d.N = a.Main
		s.do(d)
	case asking:
		s.do(&Ask{Act: a.ID, N: a.Main, Question: *a.call.Question})
		if a.Expiry != 0 {
			s.do(&Sleep{Act: a.ID, N: a.Expiry, Until: a.call.Question.Until})
		}
	case backoff, polling, sleeping:
		s.do(&Sleep{Act: a.ID, N: a.Main, Until: a.WakeAt, Look: a.Phase == sleeping && s.node(a).Wait.Until != nil})
	case child:
		c := s.calling(a, s.node(a))
		c.N = a.Main
		s.do(c)
	case undoing:
		s.do(&TakeBack{Act: a.ID, N: a.Main, Acts: a.Done, Calls: a.Calls})
	default: // nothing to do for the others
	}
}

// Begun tells whether the call that Act waits for is known to have left.
func (s *State) Begun(act Act) bool {
	a := s.find(act)
	return a != nil && a.Phase == calling && a.Begun
}

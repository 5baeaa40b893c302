package app

import (
	"cmp"

	"riposte/internal/ingest"
)

// openKafka makes the road of topics.
func (c *core) openKafka(name string, s SourceConfig, cursor []byte) (road, error) {
	password, err := c.sourcePassword(s)
	if err != nil {
		return nil, err
	}
	k := &ingest.Kafka{
		Source: c.sources[name], Sink: (*intake)(c), Brokers: s.Brokers, Topics: s.Topics, Group: cmp.Or(s.Group, "riposte-"+name),
		FromNow: s.Begin == "now", SASL: s.SASL, User: s.User, Password: password, Cursor: cursor, Now: c.now, Log: c.log,
	}
	if s.Security != "plain" {
		if k.TLS, err = sourceTLS(s); err != nil {
			return nil, err
		}
	}
	return k, nil
}

package ingest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// Kafka reads topics as a member of a consumer group; each record is an event.
// Where it goes on is stored together with the alerts, and only then told to the
// brokers: a crash between the two neither loses nor doubles a record. While the
// sink is full nothing more is fetched.
type Kafka struct {
	Source   Source
	Sink     Sink
	Brokers  []string
	Topics   []string
	Group    string
	FromNow  bool        // the first time begin with what comes from now on, not with the oldest
	TLS      *tls.Config // nil: plain
	SASL     string      // plain, scram-sha-256, scram-sha-512; "" with a user is the last
	User     string      // "": nobody signs in
	Password string
	Cursor   []byte           // where it stopped last time; nil: never read
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger     // nil means slog.Default

	mu    sync.Mutex
	state kafkaState
	owned map[kafkaPart]bool
}

// kafkaState is a Kafka source's cursor: the next offset by topic and partition.
type kafkaState struct {
	Group string                     `json:"group"`
	Next  map[string]map[int32]int64 `json:"next"`
}

type kafkaPart struct {
	topic     string
	partition int32
}

const (
	// kafkaQuiet is how long nothing may come before the brokers are asked whether
	// they are still there.
	kafkaQuiet   = 30 * time.Second
	kafkaTimeout = 30 * time.Second
	// kafkaSession and kafkaRebalance are how long the brokers wait for a member that
	// is silent, or does not come when partitions are given out anew: after a crash
	// our own former self is one.
	kafkaSession   = 10 * time.Second
	kafkaRebalance = 15 * time.Second
	// What may be fetched at once, and what it may be unpacked to: brokers lie, and
	// a few kilobytes unpack to gigabytes.
	kafkaFetchBytes  = 16 << 20
	kafkaPartBytes   = 8 << 20
	kafkaUnpackBytes = 64 << 20
	kafkaReadBytes   = 64 << 20
	// longestSinkWait is how long is waited at most before a full sink is tried again.
	longestSinkWait = 5 * time.Second
)

// Run reads until ctx ends. An error is for what may be better later.
func (k *Kafka) Run(ctx context.Context) error {
	if k.Now == nil {
		k.Now = time.Now
	}
	if k.Log == nil {
		k.Log = slog.Default()
	}
	if err := k.restore(); err != nil {
		return err
	}
	client, err := kgo.NewClient(k.options()...)
	if err != nil {
		return fmt.Errorf("kafka %s: %v: %w", strings.Join(k.Brokers, ", "), err, fault.Invalid)
	}
	defer client.CloseAllowingRebalance()
	if err := k.ping(ctx, client); err != nil {
		return unlessEnded(ctx, err)
	}
	for ctx.Err() == nil {
		if err := k.poll(ctx, client); err != nil {
			return unlessEnded(ctx, err)
		}
	}
	return nil
}

// restore reads the cursor; that of another group means nothing.
func (k *Kafka) restore() error {
	k.state = kafkaState{Group: k.Group, Next: map[string]map[int32]int64{}}
	k.owned = map[kafkaPart]bool{}
	if len(k.Cursor) == 0 {
		return nil
	}
	var kept kafkaState
	if err := json.Unmarshal(k.Cursor, &kept); err != nil {
		return fmt.Errorf("cursor of source %s: %v: %w", k.Source.Name, err, fault.Invalid)
	}
	if kept.Group == k.Group && kept.Next != nil {
		k.state = kept
	}
	return nil
}

func (k *Kafka) options() []kgo.Opt {
	begin := kgo.NewOffset().AtStart()
	if k.FromNow {
		begin = kgo.NewOffset().AtEnd()
	}
	opts := []kgo.Opt{
		kgo.ClientID("riposte"), kgo.SeedBrokers(k.Brokers...), kgo.ConsumerGroup(k.Group), kgo.ConsumeTopics(k.Topics...),
		kgo.ConsumeStartOffset(begin),
		// Where the place to go on is gone, what is left is read from its beginning:
		// rather twice than never.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.DisableClientMetrics(), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(kafkaFetchBytes), kgo.FetchMaxPartitionBytes(kafkaPartBytes), kgo.MaxConcurrentFetches(2),
		kgo.MaxDecompressBatchBytes(kafkaUnpackBytes), kgo.BrokerMaxReadBytes(kafkaReadBytes), kgo.DialTimeout(kafkaTimeout),
		kgo.SessionTimeout(kafkaSession), kgo.HeartbeatInterval(kafkaSession / 4),
		kgo.AdjustFetchOffsetsFn(k.adjust),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { k.own(parts, true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { k.own(parts, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { k.own(parts, false) }),
	}
	if k.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(k.TLS))
	}
	switch {
	case k.User == "":
	case k.SASL == "plain":
		opts = append(opts, kgo.SASL(plain.Auth{User: k.User, Pass: k.Password}.AsMechanism()))
	case k.SASL == "scram-sha-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: k.User, Pass: k.Password}.AsSha256Mechanism()))
	default:
		opts = append(opts, kgo.SASL(scram.Auth{User: k.User, Pass: k.Password}.AsSha512Mechanism()))
	}
	return opts
}

// adjust begins where our own cursor says, if that is further than what the
// brokers were told: they are told after the alerts are stored.
func (k *Kafka) adjust(_ context.Context, told map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for topic, parts := range told {
		for p, at := range parts {
			if next, ok := k.state.Next[topic][p]; ok && at.EpochOffset().Offset < next {
				parts[p] = kgo.NewOffset().At(next)
			}
		}
	}
	return told, nil
}

// own notes which partitions are ours.
func (k *Kafka) own(parts map[string][]int32, ours bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for topic, list := range parts {
		for _, p := range list {
			if ours {
				k.owned[kafkaPart{topic, p}] = true
			} else {
				delete(k.owned, kafkaPart{topic, p})
			}
		}
	}
}

func (k *Kafka) ping(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("kafka %s: %w", strings.Join(k.Brokers, ", "), hide(err, k.Password))
	}
	return nil
}

// poll takes the records that have come.
func (k *Kafka) poll(ctx context.Context, client *kgo.Client) error {
	wait, cancel := context.WithTimeout(ctx, kafkaQuiet)
	defer cancel()
	fetches := client.PollRecords(wait, maxChunk)
	defer client.AllowRebalance()
	var broken error
	var bombs []*kgo.ErrDecompressTooLarge
	fetches.EachError(func(topic string, partition int32, err error) {
		if bomb := new(kgo.ErrDecompressTooLarge); errors.As(err, &bomb) {
			bombs = append(bombs, bomb)
			return
		}
		if broken == nil && wait.Err() == nil {
			broken = fmt.Errorf("kafka topic %s, partition %d: %w", topic, partition, hide(err, k.Password))
		}
	})
	records := fetches.Records()
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size+len(records[n].Value) <= maxChunkBytes) {
			size += len(records[n].Value)
			n++
		}
		if err := k.take(ctx, client, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	for _, bomb := range bombs {
		if err := k.skip(ctx, client, bomb); err != nil {
			return err
		}
	}
	if broken == nil && wait.Err() != nil && ctx.Err() == nil {
		return k.ping(ctx, client) // nothing came: are they still there?
	}
	return broken
}

// take stores records, waiting as long as the sink is full, and tells the
// brokers. Records of partitions that another member got meanwhile are its work.
func (k *Kafka) take(ctx context.Context, client *kgo.Client, records []*kgo.Record) error {
	paused := false
	defer func() {
		if paused {
			client.ResumeFetchTopics(k.Topics...)
		}
	}()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, longestSinkWait) {
		batch, next, err := k.batch(records)
		if err != nil {
			return err
		}
		if _, err = k.Sink.Take(ctx, batch); err == nil {
			k.mu.Lock()
			k.state = next
			k.mu.Unlock()
			break
		}
		if ctx.Err() != nil || !errors.Is(err, fault.Transient) {
			return err
		}
		if !paused {
			client.PauseFetchTopics(k.Topics...)
			paused = true
		}
		client.AllowRebalance() // others need not wait for us
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if records = k.ours(records); len(records) == 0 {
			return nil
		}
	}
	telling, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	if err := client.CommitRecords(telling, records...); err != nil && ctx.Err() == nil {
		// Our own cursor holds; they are told with the next records.
		k.Log.Warn("offsets not committed", "source", k.Source.Name, "error", hide(err, k.Password))
	}
	return nil
}

// skip goes on behind records that would unpack to more than is read. That they
// were there is kept, as of everything that cannot be read.
func (k *Kafka) skip(ctx context.Context, client *kgo.Client, bomb *kgo.ErrDecompressTooLarge) error {
	if bomb.NextOffset <= bomb.Offset {
		return fmt.Errorf("kafka: %w", bomb)
	}
	why := fmt.Errorf("the records %d to %d of topic %s, partition %d, unpack to more than %d bytes and are not read",
		bomb.Offset, bomb.NextOffset-1, bomb.Topic, bomb.Partition, kafkaUnpackBytes)
	batch, next, err := k.batch([]*kgo.Record{{Topic: bomb.Topic, Partition: bomb.Partition, Offset: bomb.NextOffset - 1}})
	if err != nil {
		return err
	}
	batch.Skipped = 0
	batch.Alerts = []alert.Alert{alert.Keep(k.Source.Name, []byte(why.Error()), why, k.Now().UTC().Truncate(time.Microsecond))}
	if _, err := k.Sink.Take(ctx, batch); err != nil {
		return err
	}
	k.mu.Lock()
	k.state = next
	k.mu.Unlock()
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{bomb.Topic: {bomb.Partition: {Epoch: bomb.Epoch, Offset: bomb.NextOffset}}})
	return nil
}

// ours leaves out the records of partitions that are not ours any more.
func (k *Kafka) ours(records []*kgo.Record) (left []*kgo.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range records {
		if k.owned[kafkaPart{r.Topic, r.Partition}] {
			left = append(left, r)
		}
	}
	return left
}

// batch reads records as events and works out where to go on after them.
func (k *Kafka) batch(records []*kgo.Record) (b Batch, next kafkaState, err error) {
	b.Source = k.Source.Name
	now := k.Now().UTC().Truncate(time.Microsecond)
	k.mu.Lock()
	next = kafkaState{Group: k.state.Group, Next: make(map[string]map[int32]int64, len(k.state.Next))}
	for topic, parts := range k.state.Next {
		next.Next[topic] = maps.Clone(parts)
	}
	k.mu.Unlock()
	for _, r := range records {
		if next.Next[r.Topic] == nil {
			next.Next[r.Topic] = map[int32]int64{}
		}
		next.Next[r.Topic][r.Partition] = r.Offset + 1
		if len(r.Value) == 0 { // it only says that a key is gone
			b.Skipped++
			continue
		}
		one := k.Source.readEvent(r.Value, now)
		if !one.is {
			b.Skipped++
			continue
		}
		b.Alerts = append(b.Alerts, one.alert)
	}
	b.Cursor, err = json.Marshal(next)
	return b, next, err
}

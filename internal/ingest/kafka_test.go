package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"riposte/internal/ingest"
)

// cluster is a Kafka cluster in memory.
type cluster struct {
	t *testing.T
	*kfake.Cluster
}

func newCluster(t *testing.T, opts ...kfake.Opt) *cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, "alerts")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &cluster{t, c}
}

// send writes records into partitions in turn.
func (c *cluster) send(codec kgo.CompressionCodec, values ...string) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for i, v := range values {
		records = append(records, &kgo.Record{Topic: "alerts", Partition: int32(i % 3), Value: []byte(v)})
	}
	if err := client.ProduceSync(c.t.Context(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// consume starts a member of the group and returns what stops it.
func (c *cluster) consume(s ingest.Sink, cursor []byte, change func(*ingest.Kafka)) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &ingest.Kafka{
		Source: ingest.Source{Name: "bus", Mapping: plainMapping(c.t)}, Sink: s, Brokers: c.ListenAddrs(), Topics: []string{"alerts"}, Group: "riposte",
		Cursor: cursor,
	}
	if change != nil {
		change(k)
	}
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("kafka: %v", err)
		}
	})
}

func (s *store) total() (alerts, reports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.counts {
		reports += n
	}
	return len(s.titles), reports
}

func numbered(from, to int) (values []string) {
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprintf(`{"n": "%d"}`, i))
	}
	return values
}

func TestRecordsBecomeAlertsWhateverTheirCompression(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStore()
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for i, codec := range codecs {
		c.send(codec, numbered(10*i, 10*i+10)...)
	}
	c.send(kgo.NoCompression(), "not json", `{"n": "x", "skip": true}`, "")
	defer c.consume(s, nil, nil)()
	s.eventually(t, "all records", func() bool { n, _ := s.total(); return n == 51 })
	if !strings.Contains(s.got(), "Event that could not be read") {
		t.Error("the record that is no JSON is not kept")
	}
}

func TestRecordsThatUnpackToTooMuchAreNotedAndPassed(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "200000000"})), newStore()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerBatchCompression(kgo.ZstdCompression()),
		kgo.ProducerBatchMaxBytes(90<<20), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, value := range [][]byte{[]byte(`{"n": "before"}`), make([]byte, 65<<20), []byte(`{"n": "after"}`)} {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "alerts", Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	defer c.consume(s, nil, nil)()
	s.until(t, "before Event that could not be read after")
}

func TestARestartLosesAndDoublesNoRecord(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStore()
	c.send(kgo.NoCompression(), numbered(0, 300)...)
	stop := c.consume(s, nil, nil)
	s.eventually(t, "the first records", func() bool { n, _ := s.total(); return n == 300 })
	stop()
	c.send(kgo.NoCompression(), numbered(300, 330)...)
	defer c.consume(s, s.cursor, nil)()
	s.eventually(t, "the others", func() bool { n, _ := s.total(); return n == 330 })
	if _, reports := s.total(); reports != 330 {
		t.Errorf("330 records were taken %d times", reports)
	}
}

// Brokers that never hear of what was stored are what a crash leaves between the
// commit of the alerts and that of the offsets.
func TestWhatIsStoredAndWasNotToldTheBrokersIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStore()
	c.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		res := r.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range r.(*kmsg.OffsetCommitRequest).Topics {
			t := kmsg.NewOffsetCommitResponseTopic()
			t.Topic, t.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				one := kmsg.NewOffsetCommitResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, kerr.InvalidCommitOffsetSize.Code
				t.Partitions = append(t.Partitions, one)
			}
			res.Topics = append(res.Topics, t)
		}
		return res, nil, true
	})
	c.send(kgo.NoCompression(), numbered(0, 30)...)
	stop := c.consume(s, nil, nil)
	s.eventually(t, "the first records", func() bool { n, _ := s.total(); return n == 30 })
	stop()
	c.send(kgo.NoCompression(), numbered(30, 40)...)
	defer c.consume(s, s.cursor, nil)()
	s.eventually(t, "the others", func() bool { n, _ := s.total(); return n == 40 })
	if _, reports := s.total(); reports != 40 {
		t.Errorf("40 records were taken %d times", reports)
	}
}

func TestMembersComeAndGoAndNoRecordIsLost(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t, kfake.GroupMinSessionTimeout(time.Second)), newStore()
	c.send(kgo.NoCompression(), numbered(0, 60)...)
	first := c.consume(s, nil, nil)
	s.eventually(t, "the first records", func() bool { n, _ := s.total(); return n == 60 })
	second := c.consume(s, nil, nil)
	c.send(kgo.NoCompression(), numbered(60, 120)...)
	s.eventually(t, "those of two members", func() bool { n, _ := s.total(); return n == 120 })
	first()
	c.send(kgo.NoCompression(), numbered(120, 180)...)
	s.eventually(t, "those of the other", func() bool { n, _ := s.total(); return n == 180 })
	second()
}

func TestAFullSinkHoldsTheRecordsBack(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStore()
	s.refuse = 4
	c.send(kgo.NoCompression(), numbered(0, 30)...)
	defer c.consume(s, nil, nil)()
	s.eventually(t, "all records", func() bool { n, _ := s.total(); return n == 30 })
	c.send(kgo.NoCompression(), numbered(30, 33)...)
	s.eventually(t, "what came afterwards", func() bool { n, _ := s.total(); return n == 33 })
	if _, reports := s.total(); reports != 33 {
		t.Errorf("33 records were taken %d times", reports)
	}
}

func TestReadingATopicMayBeginWithWhatComesFromNowOn(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStore()
	c.send(kgo.NoCompression(), numbered(0, 30)...)
	defer c.consume(s, nil, func(k *ingest.Kafka) { k.FromNow = true })()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 100; ; n++ { // until it has joined, nothing tells from which moment on it reads
		c.send(kgo.NoCompression(), fmt.Sprintf(`{"n": "%d"}`, n))
		<-tick.C
		if got, _ := s.total(); got > 0 {
			break
		}
	}
	if strings.HasPrefix(s.got(), "0") || strings.Contains(s.got(), " 5 ") {
		t.Errorf("old records were read: %q", s.got())
	}
}

func TestSignInToKafka(t *testing.T) {
	t.Parallel()
	for name, mechanism := range map[string]string{"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "soc", "hunter22"))
			s := newStore()
			stop := c.consume(s, nil, func(k *ingest.Kafka) { k.SASL, k.User, k.Password = name, "soc", "hunter22" })
			stop()
			wrong := &ingest.Kafka{
				Source: ingest.Source{Name: "bus", Mapping: plainMapping(t)}, Sink: s, Brokers: c.ListenAddrs(), Topics: []string{"alerts"}, Group: "g",
				SASL: name, User: "soc", Password: "wrong-one",
			}
			if err := wrong.Run(t.Context()); err == nil || strings.Contains(err.Error(), "wrong-one") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBrokersThatLieAreLeft(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(r *kmsg.FetchResponseTopicPartition){
		"garbage for records": func(r *kmsg.FetchResponseTopicPartition) {
			r.RecordBatches = []byte(strings.Repeat("\xff\x00garbage", 100))
		},
		"an error": func(r *kmsg.FetchResponseTopicPartition) { r.ErrorCode = kerr.TopicAuthorizationFailed.Code },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := newCluster(t), newStore()
			var asked atomic.Int64
			c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				asked.Add(1)
				in := req.(*kmsg.FetchRequest)
				res := req.ResponseKind().(*kmsg.FetchResponse)
				for _, topic := range in.Topics {
					t := kmsg.NewFetchResponseTopic()
					t.Topic, t.TopicID = topic.Topic, topic.TopicID
					for _, p := range topic.Partitions {
						one := kmsg.NewFetchResponseTopicPartition()
						one.Partition, one.HighWatermark, one.LastStableOffset = p.Partition, 1000, 1000
						lie(&one)
						t.Partitions = append(t.Partitions, one)
					}
					res.Topics = append(res.Topics, t)
				}
				return res, nil, true
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			k := &ingest.Kafka{Source: ingest.Source{Name: "bus", Mapping: plainMapping(t)}, Sink: s, Brokers: c.ListenAddrs(), Topics: []string{"alerts"}, Group: "g"}
			err := k.Run(ctx)
			t.Logf("%v; asked %d times", err, asked.Load())
			if n, _ := s.total(); n != 0 {
				t.Errorf("%d alerts came of it", n)
			}
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		k := &ingest.Kafka{Source: ingest.Source{Name: "bus", Mapping: plainMapping(t)}, Sink: newStore(), Brokers: []string{"127.0.0.1:1"}, Topics: []string{"a"}, Group: "g"}
		_ = k.Run(ctx) // it ends with the context, at the latest
	})
}

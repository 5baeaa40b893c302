package app

import (
	"time"

	"riposte/internal/auth"
	"riposte/internal/strictyaml"
)

// Config is everything that an installation can set. A file, the environment
// and flags fill it, in this order.
type Config struct {
	Listen     string                  `yaml:"listen" doc:"The address to answer HTTP on, host:port. Port 0 takes a free one."`
	Proxies    auth.Networks           `yaml:"trusted_proxies" doc:"Addresses or networks of proxies whose X-Forwarded-For is believed, for from: of webhooks."`
	URL        string                  `yaml:"url" doc:"How people reach the server, such as https://riposte.example.org: for links."`
	Data       string                  `yaml:"data" doc:"The folder of database, evidence and keys. It is made if it is not there."`
	Database   string                  `yaml:"database" doc:"Where records are kept: the URL of a PostgreSQL database, postgres://USER:PASSWORD@HOST:PORT/NAME. Default: SQLite, the file riposte.db in the data folder."`
	TLS        TLS                     `yaml:"tls" doc:"Certificate and key; without them HTTP is plain, for a proxy on the same machine."`
	Log        Log                     `yaml:"log" doc:"What is logged, to standard error."`
	People     map[string]PersonConfig `yaml:"people" doc:"Who may sign in, by name."`
	Groups     map[string]GroupConfig  `yaml:"groups" doc:"Groups of people, for group:… in playbooks."`
	Roles      map[string]RoleConfig   `yaml:"roles" doc:"Roles beside the built-in ones, or in their place."`
	OnCall     map[string]auth.Duty    `yaml:"on_call" doc:"Who answers for on-call:… in playbooks: a list of people, or a mapping with turns and hours."`
	Sources    map[string]SourceConfig `yaml:"sources" doc:"Where alerts come from, by name."`
	Hooks      map[string]HookConfig   `yaml:"hooks" doc:"Webhooks that start playbooks, by the path that their trigger names: POST /api/hooks/PATH."`
	Triage     TriageConfig            `yaml:"triage" doc:"What becomes of alerts before playbooks look at them."`
	Guard      GuardConfig             `yaml:"guard" doc:"What stands before every change."`
	Connectors string                  `yaml:"connectors" doc:"A folder of connectors, beside and in place of the built-in ones. It is read again on change."`
	Content    string                  `yaml:"content" doc:"A folder with playbooks/, sources/ and scripts/, beside what is built in."`
	Retention  RetentionConfig         `yaml:"retention" doc:"How long records are kept."`
	Engine     EngineConfig            `yaml:"engine" doc:"How much runs may do at once."`
	Metrics    MetricsConfig           `yaml:"metrics" doc:"What monitoring may read. /metrics shows it to an API token with metrics:read."`
	Intake     IntakeConfig            `yaml:"intake" doc:"How much may wait between sources and the database."`
}

// TLS names the files of a certificate and its key.
type TLS struct {
	Certificate string `yaml:"certificate" doc:"PEM file with the certificate and those that lead to its root."`
	Key         string `yaml:"key" doc:"PEM file with the private key."`
	ClientCA    string `yaml:"client_ca" doc:"PEM file with the certificates that sign those of clients, for webhooks with auth: mtls."`
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"The least important line to write."`
	Format string `yaml:"format" enum:"text,json" doc:"How lines are written."`
}

// PersonConfig is somebody who may sign in.
type PersonConfig struct {
	Title        string   `yaml:"title" doc:"How they are called on pages."`
	Roles        []string `yaml:"roles"`
	Groups       []string `yaml:"groups"`
	PasswordHash string   `yaml:"password_hash" doc:"Made by riposte config password. Without it the person comes by token only."`
	Disabled     bool     `yaml:"disabled" doc:"Nobody comes in by this name any more; records keep it."`
}

// GroupConfig is a group of people.
type GroupConfig struct {
	Title string   `yaml:"title"`
	Roles []string `yaml:"roles" doc:"Roles that members have by being in the group."`
}

// RoleConfig is a role.
type RoleConfig struct {
	Includes    []string          `yaml:"includes" doc:"Roles whose permissions it also holds. Whoever has it counts as having them."`
	Permissions []auth.Permission `yaml:"permissions" doc:"What it permits; riposte config show lists all there are."`
}

// SourceConfig is where alerts come from.
type SourceConfig struct {
	Type    string       `yaml:"type,required" enum:"webhook,syslog,file,imap,kafka,pull,schedule" doc:"webhook: sent to /api/ingest/NAME. syslog: messages that devices send. file: a log of one JSON object a line, followed through rotation. imap: a mailbox. kafka: topics of a Kafka cluster. pull: a product that is asked through a connection. schedule: an alert at given times."`
	Mapping MappingNames `yaml:"mapping" doc:"The source mapping that reads it, such as suricata-eve, a list of them, or auto: the one that fits the event. Default for imap: mail; for pull: the one that the connector names; for schedule: schedule."`
	Path    string       `yaml:"path" doc:"file: the file to follow."`

	Preset          string        `yaml:"preset" enum:"splunk,elastic,wazuh,sentinel,github" doc:"webhook: the product that sends; it sets mapping, signature, unwrap and the like, as far as they are not given."`
	TokenFile       string        `yaml:"token_file" doc:"webhook: a file that holds the token which the sender sends as Authorization: Bearer, or as the password of basic authentication."`
	TokenHash       string        `yaml:"token_hash" pattern:"[0-9a-f]{64}" doc:"webhook: the SHA-256 of that token in hex, instead of a file."`
	TokenHeader     string        `yaml:"token_header" pattern:"[A-Za-z0-9-]+" doc:"webhook: another header that may hold the token, such as X-Api-Key."`
	TokenParameter  string        `yaml:"token_parameter" pattern:"[A-Za-z0-9_-]+" doc:"webhook: a parameter of the address that may hold the token, for senders that can set no header; proxies log addresses."`
	KeyFile         string        `yaml:"key_file" doc:"webhook: a file that holds the secret which bodies are signed with."`
	Signature       string        `yaml:"signature" enum:"riposte,github,standard,slack,stamped,body" doc:"webhook: how the sender signs; default riposte: X-Riposte-Signature: sha256=HEX, an HMAC-SHA-256 over X-Riposte-Timestamp (seconds), a dot and the body."`
	SignatureHeader string        `yaml:"signature_header" pattern:"[A-Za-z0-9-]+" doc:"webhook: the header of the signature, where it is not the usual one of that way to sign."`
	Unwrap          []string      `yaml:"unwrap" doc:"webhook: fields of the body that hold the events, a list or one, such as value or Records; the first that is there counts."`
	Certificate     []string      `yaml:"certificate" doc:"webhook, syslog: the names, one of which the sender's certificate must bear as its common name or as a DNS name."`
	From            auth.Networks `yaml:"from" doc:"webhook, syslog: addresses or networks that may send; default: all."`

	Listen         []string        `yaml:"listen" doc:"syslog: where to listen, such as udp://0.0.0.0:5514, tcp://0.0.0.0:5514 and tls://0.0.0.0:6514."`
	TLSCertificate string          `yaml:"tls_certificate" doc:"syslog: a PEM file with the certificate for tls://; default that of tls:."`
	TLSKey         string          `yaml:"tls_key" doc:"syslog: the PEM file with its private key."`
	TLSClientCA    string          `yaml:"tls_client_ca" doc:"syslog: a PEM file with the certificates that sign those of senders, one of which each must show then; default, where certificate is given, that of tls:."`
	MaxMessage     strictyaml.Size `yaml:"max_message" doc:"syslog: the largest message that is taken whole, 1KB to 4MB; default 64KB."`
	MaxConnections int             `yaml:"max_connections" min:"1" doc:"syslog: connections at once; default 500."`
	MaxPerSender   int             `yaml:"max_per_sender" min:"1" doc:"syslog: of these by one address; default 100."`
	IdleTimeout    time.Duration   `yaml:"idle_timeout" doc:"syslog: after which a silent connection is closed; default 24h."`
	ReceiveBuffer  strictyaml.Size `yaml:"receive_buffer" doc:"syslog: how much the system is asked to hold of each UDP port; default 4MB."`

	Host           string   `yaml:"host" doc:"imap: the mail server."`
	Port           int      `yaml:"port" min:"1" doc:"imap: default 993, with security: starttls or plain 143."`
	Security       string   `yaml:"security" enum:"tls,starttls,plain" doc:"imap, kafka: how the connection is protected; default tls. starttls is for imap. plain sends everything, the password too, so that others can read it."`
	CAFile         string   `yaml:"ca_file" doc:"imap, kafka: a PEM file with certificates that are trusted besides the system's."`
	User           string   `yaml:"user" doc:"imap, kafka: who signs in."`
	PasswordFile   string   `yaml:"password_file" doc:"imap, kafka: a file that holds the password."`
	PasswordSecret string   `yaml:"password_secret" pattern:"[a-z][a-z0-9_-]*\\.[A-Za-z0-9_]+" doc:"imap, kafka: CONNECTION.FIELD, the sealed secret of a connection that is the password, instead of a file."`
	Mailbox        string   `yaml:"mailbox" doc:"imap: the folder to read; default INBOX."`
	After          string   `yaml:"after" enum:"leave,seen,move" doc:"imap: what becomes of a mail once it is stored: leave it as it is (default), mark it seen, or move it to move_to."`
	MoveTo         string   `yaml:"move_to" doc:"imap: the folder that mails are moved to; it is made if it is not there."`
	Begin          string   `yaml:"begin" enum:"oldest,now" doc:"imap, kafka: where to begin the first time: with the oldest that is there (default), or with what comes from now on."`
	Brokers        []string `yaml:"brokers" doc:"kafka: addresses of brokers to begin with, HOST:PORT."`
	Topics         []string `yaml:"topics" doc:"kafka: the topics to read; each record is an event."`
	Group          string   `yaml:"group" doc:"kafka: the consumer group; default riposte-NAME."`
	SASL           string   `yaml:"sasl" enum:"plain,scram-sha-256,scram-sha-512" doc:"kafka: how user and password are shown; default, where a user is given, scram-sha-512."`

	Connection string        `yaml:"connection" doc:"pull: the connection that is asked."`
	Source     string        `yaml:"source" doc:"pull: which of the sources that the connection's connector offers; may be left out where it offers one."`
	First      time.Duration `yaml:"first" doc:"pull: how far back the first look goes; default 24h."`
	Every      time.Duration `yaml:"every" doc:"pull, schedule, imap: how often. pull: how often to ask, instead of what the connector says. schedule: instead of cron. imap: how often to look where the server does not tell of news by itself (IDLE); default 30s."`

	Cron string         `yaml:"cron" doc:"schedule: when, in five fields: minute, hour, day of month, month, day of week."`
	Zone string         `yaml:"zone" doc:"schedule: the time zone that cron is meant in, such as Europe/Berlin; default UTC."`
	Body map[string]any `yaml:"body" doc:"schedule: the event, besides schedule.name and schedule.due: title, severity and whatever the mapping reads."`

	Expect    ExpectConfig `yaml:"expect" doc:"What must come. Less is an alarm, also before it is known what is usual."`
	Flood     FloodConfig  `yaml:"flood" doc:"What is too much."`
	Unwatched bool         `yaml:"unwatched" doc:"No alarm when it falls silent or floods."`
}

// ExpectConfig says what must come by a source.
type ExpectConfig struct {
	AtLeast int           `yaml:"at_least" min:"1" doc:"So many events; default 1."`
	Within  time.Duration `yaml:"within" doc:"In any such time, at most 7d."`
}

// FloodConfig says what is too much of a source.
type FloodConfig struct {
	Times    int           `yaml:"times" min:"2" doc:"More than so many times the usual; default 10."`
	MoreThan int           `yaml:"more_than" min:"1" doc:"More events than this, whatever is usual."`
	Within   time.Duration `yaml:"within" doc:"In this time, at most 7d; default for more_than 1m."`
}

// MetricsConfig says where metrics are shown besides /metrics.
type MetricsConfig struct {
	Listen string `yaml:"listen" doc:"An address of its own for /metrics, host:port, on which nobody is asked for a token: keep it where only your monitoring reaches it."`
}

// IntakeConfig bounds what waits between sources and the database.
type IntakeConfig struct {
	QueueMiB int           `yaml:"queue_mib" min:"1" doc:"MiB of events that may wait to be stored. Beyond it senders are told to come again later, and sources are read no further."`
	Waiting  time.Duration `yaml:"waiting" doc:"An alert that waits longer for what comes next raises the alarm intake_waiting."`
}

func (i IntakeConfig) queueBytes() int64 { return int64(i.QueueMiB) << 20 }

// HookConfig is the secret of a webhook that starts playbooks.
type HookConfig struct {
	TokenFile       string `yaml:"token_file" doc:"auth: token. A file that holds what the sender sends as Authorization: Bearer."`
	TokenHash       string `yaml:"token_hash" pattern:"[0-9a-f]{64}" doc:"auth: token. The SHA-256 of it in hex, instead of a file."`
	KeyFile         string `yaml:"key_file" doc:"auth: hmac. The key of X-Riposte-Signature: sha256=HEX, an HMAC-SHA-256 over X-Riposte-Timestamp (seconds), a dot and the body."`
	Signature       string `yaml:"signature" enum:"riposte,github,standard,slack,stamped,body" doc:"auth: hmac. How the sender signs, where it is not X-Riposte-Signature."`
	SignatureHeader string `yaml:"signature_header" pattern:"[A-Za-z0-9-]+" doc:"auth: hmac. The header of the signature, where it is not the usual one of that way to sign."`
	// Certificate needs tls.client_ca.
	Certificate []string      `yaml:"certificate" doc:"auth: mtls. The names, one of which the sender's certificate must bear as its common name or as a DNS name."`
	From        auth.Networks `yaml:"from" doc:"Addresses or networks that may send; default: all."`
}

// TriageConfig names the files of triage. Each is optional.
type TriageConfig struct {
	Rules string `yaml:"rules" doc:"A file of triage rules, in place of those that are shipped. It is read again when it changes."`
	Score string `yaml:"score" doc:"A score file, in place of the one that is shipped. It is read again when it changes."`
}

// GuardConfig names the files of the guard. Each is optional.
type GuardConfig struct {
	Policy    string   `yaml:"policy" doc:"A file of policy rules, in the order in which they are asked."`
	Protected []string `yaml:"protected" doc:"Files of what must never be touched."`
	Limits    string   `yaml:"limits" doc:"A file of limits."`
}

// RetentionConfig says how long records are kept. Open ledger entries are never
// removed.
type RetentionConfig struct {
	Runs   time.Duration `yaml:"runs" doc:"Ended runs, from their end."`
	Alerts time.Duration `yaml:"alerts" doc:"Alerts without a case, from when they were last seen."`
}

// EngineConfig bounds the engine.
type EngineConfig struct {
	Workers int `yaml:"workers" min:"1" doc:"Calls of connectors at once."`
}

// Defaults is the only place where a default of the configuration stands.
func Defaults() Config {
	const day = 24 * time.Hour
	return Config{
		Listen:    "127.0.0.1:8080",
		Data:      "riposte-data",
		Log:       Log{Level: "info", Format: "text"},
		Retention: RetentionConfig{Runs: 90 * day, Alerts: 90 * day},
		Engine:    EngineConfig{Workers: 32},
		Intake:    IntakeConfig{QueueMiB: 64, Waiting: time.Minute},
	}
}

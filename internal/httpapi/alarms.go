package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Alarms are what people must know until its cause is gone.
type Alarms interface {
	// Alarms lists the open ones, or with all those that have ended too; those
	// raised last first.
	Alarms(ctx context.Context, who auth.Caller, all bool, p Page) (Found[Alarm], error)
	// AcknowledgeAlarm notes that the caller has seen one: fault.NotFound,
	// fault.Conflict where somebody did before or where it has ended.
	AcknowledgeAlarm(ctx context.Context, who auth.Caller, id int64, note string) (Alarm, error)
}

// Alarm is something that is wrong, or was.
type Alarm struct {
	ID           string        `json:"id,omitempty" example:"AL-12" doc:"Absent while the database has not taken it."`
	Kind         string        `json:"kind" example:"source_silent"`
	Subject      string        `json:"subject,omitempty" example:"sensor-north" doc:"What it is about: a source, a run, a rule; absent: the installation."`
	Message      string        `json:"message"`
	Since        time.Time     `json:"since"`
	Last         time.Time     `json:"last" doc:"When it was raised last."`
	Count        int           `json:"count" doc:"How often it was raised since."`
	Ended        time.Time     `json:"ended,omitzero" doc:"When its cause was gone; absent: it is open."`
	Acknowledged *Acknowledged `json:"acknowledged,omitempty"`
}

// Acknowledged says who has seen an alarm.
type Acknowledged struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

type listAlarmsInput struct {
	Who
	Paged
	All bool `query:"all" doc:"Those that have ended, too. Without it, all open ones come in one page."`
}

type acknowledgeInput struct {
	Who
	Record
	Body struct {
		Note string `json:"note,omitempty" maxLength:"1000" doc:"What is being done about it."`
	}
}

func (a *api) alarmRoutes() {
	add(a, auth.AlarmsRead, op("alarms", get, "/api/alarms", "list-alarms", "List what is wrong, the newest first"),
		func(ctx context.Context, in *listAlarmsInput) (*Listed[Alarm], error) {
			return listed(a.Alarms.Alarms(ctx, in.caller, in.All, in.page()))
		})
	add(a, auth.AlarmsAcknowledge, describing("It stays open until its cause is gone.",
		op("alarms", post, "/api/alarms/{id}/acknowledge", "acknowledge-alarm", "Say that you have seen an alarm")),
		func(ctx context.Context, in *acknowledgeInput) (*Body[Alarm], error) {
			n, err := in.number(alarmCode, "alarm")
			if err != nil {
				return nil, err
			}
			return body(a.Alarms.AcknowledgeAlarm(ctx, in.caller, n, in.Body.Note))
		})
}

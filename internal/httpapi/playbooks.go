package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Playbooks are kept as drafts and published versions.
type Playbooks interface {
	// Playbooks lists playbooks by slug.
	Playbooks(ctx context.Context, who auth.Caller, p Page) (Found[Playbook], error)
	Playbook(ctx context.Context, who auth.Caller, slug string) (Playbook, error)
	// Versions lists the published versions, the newest first.
	Versions(ctx context.Context, who auth.Caller, slug string) ([]PlaybookVersion, error)
	// Version reads one with its text.
	Version(ctx context.Context, who auth.Caller, slug string, version int) (PlaybookVersion, error)
	Draft(ctx context.Context, who auth.Caller, slug string) (Draft, error)
	// SaveDraft keeps a text, right or wrong, and says what a check thinks of it.
	// seen is the ETag of the draft that it takes the place of, "" for none:
	// ErrStale where another is there.
	SaveDraft(ctx context.Context, who auth.Caller, slug, text, seen string) (Draft, error)
	DeleteDraft(ctx context.Context, who auth.Caller, slug, seen string) error
	// Publish makes a text the published version: *CheckFailed where the check
	// does not allow it. The same text as the one published changes nothing.
	Publish(ctx context.Context, who auth.Caller, slug, text string) (PlaybookVersion, error)
	// Unpublish ends it: no trigger starts it any more; runs go on.
	Unpublish(ctx context.Context, who auth.Caller, slug string) error
	// Check says what is wrong with a text.
	Check(ctx context.Context, who auth.Caller, text string) ([]Diagnostic, error)
}

// Playbook is a playbook as clients see it.
type Playbook struct {
	ID        string     `json:"id" example:"block-indicator" doc:"Its slug."`
	Title     string     `json:"title,omitempty"`
	Impact    string     `json:"impact,omitempty" enum:"read,notify,change,destroy" doc:"The highest that may happen, as published."`
	Published int        `json:"published,omitempty" doc:"The version that is published now; absent for none."`
	Versions  int        `json:"versions" doc:"How many versions were published."`
	Draft     bool       `json:"draft" doc:"There is a draft."`
	DraftAt   *time.Time `json:"draft_at,omitempty"`
	Triggers  []string   `json:"triggers,omitempty" doc:"What starts it, as published."`
}

// PlaybookVersion is a published version. Lists leave out the text.
type PlaybookVersion struct {
	Playbook  string       `json:"playbook"`
	Version   int          `json:"version"`
	Title     string       `json:"title,omitempty"`
	Hash      string       `json:"hash" doc:"Of the text and of the action signatures it was compiled against."`
	By        string       `json:"by,omitempty"`
	At        time.Time    `json:"at"`
	Published bool         `json:"published" doc:"It is the one published now."`
	Text      string       `json:"text,omitempty"`
	Findings  []Diagnostic `json:"findings,omitempty"`
}

// Draft is a text that is not published.
type Draft struct {
	Playbook    string       `json:"playbook"`
	Text        string       `json:"text"`
	By          string       `json:"by,omitempty"`
	At          time.Time    `json:"at"`
	Diagnostics []Diagnostic `json:"diagnostics" nullable:"false" doc:"What a check says of it."`

	ETag string `json:"-"`
}

// Diagnostic is one thing that a check says.
type Diagnostic struct {
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity" enum:"error,finding"`
	Code     string `json:"code,omitempty" doc:"The kind of a finding: what an accept comment names."`
	Message  string `json:"message"`
}

// CheckFailed says that a text cannot be published.
type CheckFailed struct{ Diagnostics []Diagnostic }

// Error tells the first thing that is wrong.
func (e *CheckFailed) Error() string {
	for _, d := range e.Diagnostics {
		if d.Severity == "error" {
			return "the playbook has errors: line " + number(d.Line) + ": " + d.Message
		}
	}
	if len(e.Diagnostics) > 0 {
		return "the playbook cannot be published: line " + number(e.Diagnostics[0].Line) + ": " + e.Diagnostics[0].Message
	}
	return "the playbook cannot be published"
}

// problem lists everything that is wrong.
func (e *CheckFailed) problem() *Problem {
	p := invalid.problem(e.Error())
	for _, d := range e.Diagnostics {
		p.Errors = append(p.Errors, ProblemError{Detail: number(d.Line) + ":" + number(d.Column) + ": " + d.Message, Pointer: "#/text"})
	}
	return p
}

type slugInput struct {
	Who
	Slug string `path:"slug" maxLength:"64" example:"block-indicator"`
}

type versionInput struct {
	Who
	Slug    string `path:"slug" maxLength:"64"`
	Version int    `path:"version" minimum:"1"`
}

type playbookText struct {
	Text string `json:"text" minLength:"1" maxLength:"1048576" doc:"The playbook's YAML."`
}

type saveDraftInput struct {
	Who
	Slug    string `path:"slug" maxLength:"64" pattern:"^[a-z][a-z0-9-]{1,62}$" patternDescription:"small letters, digits and hyphens"`
	IfMatch string `header:"If-Match" doc:"The ETag of the draft that this text takes the place of. Not needed for the first."`
	Body    playbookText
}

type deleteDraftInput struct {
	Who
	IfMatch
	Slug string `path:"slug" maxLength:"64"`
}

type publishInput struct {
	Who
	Slug string `path:"slug" maxLength:"64" pattern:"^[a-z][a-z0-9-]{1,62}$" patternDescription:"small letters, digits and hyphens"`
	Body *struct {
		Text string `json:"text,omitempty" maxLength:"1048576" doc:"The text to publish; absent: the draft."`
	}
}

type checkInput struct {
	Who
	Body playbookText
}

type checkAnswer struct {
	Valid       bool         `json:"valid" doc:"No diagnostic is an error."`
	Diagnostics []Diagnostic `json:"diagnostics" nullable:"false"`
}

type versionsAnswer struct {
	Items []PlaybookVersion `json:"items" nullable:"false"`
}

type oneDraft struct {
	ETag string `header:"ETag"`
	Body Draft
}

func draftAnswer(d Draft, err error) (*oneDraft, error) {
	if err != nil {
		return nil, err
	}
	if d.Diagnostics == nil {
		d.Diagnostics = []Diagnostic{}
	}
	return &oneDraft{ETag: d.ETag, Body: d}, nil
}

type listPlaybooksInput struct {
	Who
	Paged
}

func (a *api) playbookRoutes() {
	add(a, auth.PlaybooksRead, op("playbooks", get, "/api/playbooks", "list-playbooks", "List playbooks by their slug"),
		func(ctx context.Context, in *listPlaybooksInput) (*Listed[Playbook], error) {
			return listed(a.Playbooks.Playbooks(ctx, in.caller, in.page()))
		})
	add(a, auth.PlaybooksRead, op("playbooks", get, "/api/playbooks/{slug}", "get-playbook", "Read what is known of a playbook"),
		func(ctx context.Context, in *slugInput) (*Body[Playbook], error) {
			return body(a.Playbooks.Playbook(ctx, in.caller, in.Slug))
		})
	add(a, auth.PlaybooksRead, op("playbooks", get, "/api/playbooks/{slug}/versions", "list-playbook-versions", "List the published versions, the newest first"),
		func(ctx context.Context, in *slugInput) (*Body[versionsAnswer], error) {
			v, err := a.Playbooks.Versions(ctx, in.caller, in.Slug)
			if v == nil {
				v = []PlaybookVersion{}
			}
			return body(versionsAnswer{v}, err)
		})
	add(a, auth.PlaybooksRead, op("playbooks", get, "/api/playbooks/{slug}/versions/{version}", "get-playbook-version", "Read a published version with its text"),
		func(ctx context.Context, in *versionInput) (*Body[PlaybookVersion], error) {
			return body(a.Playbooks.Version(ctx, in.caller, in.Slug, in.Version))
		})
	add(a, auth.PlaybooksPublish, op("playbooks", post, "/api/playbooks/{slug}/publish", "publish-playbook", "Publish a text, or the draft"), a.publish)
	add(a, auth.PlaybooksPublish, answering(204, op("playbooks", post, "/api/playbooks/{slug}/unpublish", "unpublish-playbook", "Let nothing start it any more; its runs go on")),
		func(ctx context.Context, in *slugInput) (*Nothing, error) {
			return nil, a.Playbooks.Unpublish(ctx, in.caller, in.Slug)
		})
	add(a, auth.PlaybooksRead, op("playbooks", post, "/api/playbooks/check", "check-playbook", "Say what is wrong with a text; nothing is kept"),
		func(ctx context.Context, in *checkInput) (*Body[checkAnswer], error) {
			d, err := a.Playbooks.Check(ctx, in.caller, in.Body.Text)
			return body(checkAnswer{Valid: !hasErrors(d), Diagnostics: orEmpty(d)}, err)
		})
	a.draftRoutes()
}

func (a *api) draftRoutes() {
	add(a, auth.PlaybooksRead, op("playbooks", get, "/api/playbooks/{slug}/draft", "get-playbook-draft", "Read the draft"),
		func(ctx context.Context, in *slugInput) (*oneDraft, error) {
			return draftAnswer(a.Playbooks.Draft(ctx, in.caller, in.Slug))
		})
	add(a, auth.PlaybooksWrite, op("playbooks", put, "/api/playbooks/{slug}/draft", "save-playbook-draft", "Keep a text as the draft, right or wrong"),
		func(ctx context.Context, in *saveDraftInput) (*oneDraft, error) {
			if in.IfMatch == "" {
				if _, err := a.Playbooks.Draft(ctx, in.caller, in.Slug); err == nil {
					return nil, noPrecondition.problem("there is a draft already; send If-Match with its ETag to take its place")
				}
			}
			return draftAnswer(a.Playbooks.SaveDraft(ctx, in.caller, in.Slug, in.Body.Text, in.IfMatch))
		})
	add(a, auth.PlaybooksWrite, answering(204, op("playbooks", remove, "/api/playbooks/{slug}/draft", "delete-playbook-draft", "Throw the draft away")),
		func(ctx context.Context, in *deleteDraftInput) (*Nothing, error) {
			if in.IfMatch.IfMatch == "" {
				return nil, noPrecondition.problem("send If-Match with the ETag of the draft as you have seen it")
			}
			return nil, a.Playbooks.DeleteDraft(ctx, in.caller, in.Slug, in.IfMatch.IfMatch)
		})
}

func (a *api) publish(ctx context.Context, in *publishInput) (*Body[PlaybookVersion], error) {
	text := ""
	if in.Body != nil {
		text = in.Body.Text
	}
	if text == "" {
		d, err := a.Playbooks.Draft(ctx, in.caller, in.Slug)
		if err != nil {
			return nil, err
		}
		text = d.Text
	}
	return body(a.Playbooks.Publish(ctx, in.caller, in.Slug, text))
}

func hasErrors(all []Diagnostic) bool {
	for _, d := range all {
		if d.Severity == "error" {
			return true
		}
	}
	return false
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

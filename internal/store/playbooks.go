package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/internal/fault"
)

// Playbook is a playbook and where it stands.
type Playbook struct {
	Tenant    string
	Slug      string
	Title     string
	Draft     string // its text; meaningful when HasDraft
	HasDraft  bool
	DraftBy   string
	DraftAt   time.Time
	Version   int // grows with each change: the ETag
	Latest    int // the last version made
	Published int // the version in force, 0: none
}

// PlaybookVersion is a version that was published once.
type PlaybookVersion struct {
	Tenant     string
	Slug       string
	Version    int
	Language   int
	Hash       string // of the plan
	Title      string
	Source     string
	Signatures string // the actions it was compiled against, JSON
	By         string
	At         time.Time
	Note       string
}

const versionColumns = "v.tenant, v.slug, v.version, v.language, v.hash, v.title, v.source, v.signatures, v.made_by, v.made_at, v.note"

func scanVersion(v *PlaybookVersion, scan func(into ...any) error) error {
	return scan(&v.Tenant, &v.Slug, &v.Version, &v.Language, &v.Hash, &v.Title, &v.Source, &v.Signatures, &v.By, &v.At, &v.Note)
}

func versions(q *Reader, query string, args ...any) (list []PlaybookVersion, err error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v PlaybookVersion
		if err := scanVersion(&v, rows.Scan); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// PublishedPlaybooks lists the versions in force, of all tenants.
func PublishedPlaybooks(q *Reader) ([]PlaybookVersion, error) {
	list, err := versions(q, `SELECT `+versionColumns+` FROM playbooks AS p
		JOIN playbook_versions AS v ON v.tenant = p.tenant AND v.slug = p.slug AND v.version = p.published
		WHERE p.published > 0 ORDER BY p.tenant, p.slug`)
	if err != nil {
		return nil, fmt.Errorf("list published playbooks: %w", err)
	}
	return list, nil
}

// PlaybookVersions lists the versions of a playbook, the newest first.
func PlaybookVersions(q *Reader, tenant, slug string) ([]PlaybookVersion, error) {
	list, err := versions(q, `SELECT `+versionColumns+` FROM playbook_versions AS v
		WHERE v.tenant = ? AND v.slug = ? ORDER BY v.version DESC`, tenantOf(tenant), slug)
	if err != nil {
		return nil, fmt.Errorf("list versions of %s: %w", slug, err)
	}
	return list, nil
}

// PlaybookVersionOf reads one version: fault.NotFound.
func PlaybookVersionOf(q *Reader, tenant, slug string, version int) (v PlaybookVersion, err error) {
	err = scanVersion(&v, q.QueryRow(`SELECT `+versionColumns+` FROM playbook_versions AS v
		WHERE v.tenant = ? AND v.slug = ? AND v.version = ?`, tenantOf(tenant), slug, version).Scan)
	if err != nil {
		return v, fmt.Errorf("read version %d of %s: %w", version, slug, err)
	}
	return v, nil
}

// PlaybookByHash finds the version with a plan's hash: fault.NotFound.
func PlaybookByHash(q *Reader, hash string) (v PlaybookVersion, err error) {
	err = scanVersion(&v, q.QueryRow(`SELECT `+versionColumns+` FROM playbook_versions AS v
		WHERE v.hash = ? ORDER BY v.version LIMIT 1`, hash).Scan)
	if err != nil {
		return v, fmt.Errorf("read the version with plan %.12s: %w", hash, err)
	}
	return v, nil
}

const playbookColumns = "tenant, slug, title, COALESCE(draft, ''), draft IS NOT NULL, draft_by, draft_at, version, latest, published"

func scanPlaybook(p *Playbook, scan func(into ...any) error) error {
	return scan(&p.Tenant, &p.Slug, &p.Title, &p.Draft, &p.HasDraft, &p.DraftBy, &p.DraftAt, &p.Version, &p.Latest, &p.Published)
}

// PlaybookOf reads a playbook: fault.NotFound.
func PlaybookOf(q *Reader, tenant, slug string) (p Playbook, err error) {
	err = scanPlaybook(&p, q.QueryRow("SELECT "+playbookColumns+" FROM playbooks WHERE tenant = ? AND slug = ?", tenantOf(tenant), slug).Scan)
	if err != nil {
		return p, fmt.Errorf("read playbook %s: %w", slug, err)
	}
	return p, nil
}

// ListPlaybooks lists a tenant's playbooks by slug.
func ListPlaybooks(q *Reader, tenant string, s Slice) (page Page[Playbook], err error) {
	after, err := s.text("playbooks")
	if err != nil {
		return page, err
	}
	rows, err := q.Query("SELECT "+playbookColumns+" FROM playbooks WHERE tenant = ? AND slug > ? ORDER BY slug LIMIT ?", tenantOf(tenant), after, s.size()+1)
	if err != nil {
		return page, fmt.Errorf("list playbooks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p Playbook
		if err := scanPlaybook(&p, rows.Scan); err != nil {
			return page, fmt.Errorf("list playbooks: %w", err)
		}
		page.Items = append(page.Items, p)
	}
	if len(page.Items) > s.size() {
		page.Items = page.Items[:s.size()]
		page.Next = textCursor("playbooks", page.Items[len(page.Items)-1].Slug)
	}
	return page, rows.Err()
}

// PublishPlaybook makes a version the one in force. The version in force with
// the same hash stays as it is. Version is set.
func PublishPlaybook(tx *Tx, v PlaybookVersion) (PlaybookVersion, error) {
	v.Tenant = tenantOf(v.Tenant)
	p, err := PlaybookOf(&tx.Reader, v.Tenant, v.Slug)
	if err != nil && !isNoRow(err) {
		return v, err
	}
	if p.Published > 0 {
		now, err := PlaybookVersionOf(&tx.Reader, v.Tenant, v.Slug, p.Published)
		if err != nil {
			return v, err
		}
		if now.Hash == v.Hash {
			return now, nil
		}
	}
	v.Version = p.Latest + 1
	_, err = tx.Exec(`INSERT INTO playbook_versions (tenant, slug, version, language, hash, title, source, signatures, made_by, made_at, note)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Tenant, v.Slug, v.Version, v.Language, v.Hash, v.Title, v.Source, v.Signatures, v.By, v.At, v.Note)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO playbooks (tenant, slug, title, version, latest, published) VALUES (?, ?, ?, 1, ?, ?)
			ON CONFLICT (tenant, slug) DO UPDATE SET title = excluded.title, version = playbooks.version + 1,
				latest = excluded.latest, published = excluded.published`,
			v.Tenant, v.Slug, v.Title, v.Version, v.Version)
	}
	if err != nil {
		return v, fmt.Errorf("publish %s: %w", v.Slug, err)
	}
	return v, nil
}

// UnpublishPlaybook ends that a playbook is in force: fault.NotFound where it is
// not.
func UnpublishPlaybook(tx *Tx, tenant, slug string) error {
	n, err := tx.Exec("UPDATE playbooks SET published = 0, version = version + 1 WHERE tenant = ? AND slug = ? AND published > 0", tenantOf(tenant), slug)
	if err == nil && n == 0 {
		err = ErrNoRow
	}
	if err != nil {
		return fmt.Errorf("unpublish %s: %w", slug, err)
	}
	return nil
}

// SaveDraft keeps a draft; seen is the playbook's version that the caller knows,
// 0 for whichever it is: ErrStale where it has another.
func SaveDraft(tx *Tx, tenant, slug, title, text, by string, at time.Time, seen int) (Playbook, error) {
	tenant = tenantOf(tenant)
	p, err := PlaybookOf(&tx.Reader, tenant, slug)
	if err != nil && !isNoRow(err) {
		return p, err
	}
	if seen != 0 && seen != p.Version {
		return p, fmt.Errorf("save the draft of %s: %w", slug, ErrStale)
	}
	_, err = tx.Exec(`INSERT INTO playbooks (tenant, slug, title, draft, draft_by, draft_at, version) VALUES (?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT (tenant, slug) DO UPDATE SET draft = excluded.draft, draft_by = excluded.draft_by, draft_at = excluded.draft_at,
			version = playbooks.version + 1, title = CASE WHEN playbooks.published > 0 THEN playbooks.title ELSE excluded.title END`,
		tenant, slug, title, text, by, at)
	if err != nil {
		return p, fmt.Errorf("save the draft of %s: %w", slug, err)
	}
	return PlaybookOf(&tx.Reader, tenant, slug)
}

// DropDraft throws a draft away; a playbook that was never published goes with
// it. seen is as in SaveDraft.
func DropDraft(tx *Tx, tenant, slug string, seen int) error {
	tenant = tenantOf(tenant)
	p, err := PlaybookOf(&tx.Reader, tenant, slug)
	switch {
	case err != nil:
		return err
	case !p.HasDraft:
		return fmt.Errorf("the draft of %s: %w", slug, ErrNoRow)
	case seen != 0 && seen != p.Version:
		return fmt.Errorf("drop the draft of %s: %w", slug, ErrStale)
	case p.Latest == 0:
		_, err = tx.Exec("DELETE FROM playbooks WHERE tenant = ? AND slug = ?", tenant, slug)
	default:
		_, err = tx.Exec("UPDATE playbooks SET draft = NULL, draft_by = '', draft_at = 0, version = version + 1 WHERE tenant = ? AND slug = ?", tenant, slug)
	}
	if err != nil {
		return fmt.Errorf("drop the draft of %s: %w", slug, err)
	}
	return nil
}

// KeepPlan stores a plan that is no published version, once.
func KeepPlan(tx *Tx, tenant, hash, body string, at time.Time) error {
	_, err := tx.Exec("INSERT INTO plans (hash, tenant, body, made) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING", hash, tenantOf(tenant), json.RawMessage(body), at)
	if err != nil {
		return fmt.Errorf("keep plan %.12s: %w", hash, err)
	}
	return nil
}

// PlanByHash reads the body of such a plan: fault.NotFound.
func PlanByHash(q *Reader, hash string) (body string, err error) {
	if err := q.QueryRow("SELECT body FROM plans WHERE hash = ?", hash).Scan(&body); err != nil {
		return "", fmt.Errorf("read plan %.12s: %w", hash, err)
	}
	return body, nil
}

func isNoRow(err error) bool { return err != nil && errors.Is(err, fault.NotFound) }

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"riposte/internal/app"
	"riposte/internal/fault"
)

// settings are the flags that set what the configuration file also can. Their
// names follow its keys, and so do the variables of the environment.
type settings struct {
	Config     string  `name:"config" short:"c" placeholder:"FILE" help:"The configuration file. RIPOSTE_CONFIG names it, too; else ./riposte.yaml or /etc/riposte/riposte.yaml, where there is one."`
	Listen     *string `name:"listen" placeholder:"HOST:PORT" help:"Answer HTTP here; RIPOSTE_LISTEN. Default: ${default_listen}."`
	Data       *string `name:"data" placeholder:"DIR" help:"Database, evidence and keys; RIPOSTE_DATA. Default: ${default_data}."`
	Database   *string `name:"database" placeholder:"URL" help:"Keep records in PostgreSQL, postgres://USER@HOST:PORT/NAME, instead of SQLite; RIPOSTE_DATABASE, which other users of the machine do not see, can hold the password."`
	Connectors *string `name:"connectors" placeholder:"DIR" help:"More connectors; RIPOSTE_CONNECTORS."`
	Content    *string `name:"content" placeholder:"DIR" help:"More playbooks, source mappings and scripts; RIPOSTE_CONTENT."`
	LogLevel   *string `name:"log-level" placeholder:"LEVEL" help:"debug, info, warn or error; RIPOSTE_LOG_LEVEL. Default: ${default_log_level}."`
	LogFormat  *string `name:"log-format" placeholder:"FORMAT" help:"text or json; RIPOSTE_LOG_FORMAT. Default: ${default_log_format}."`
}

// defaultsForHelp lets the help tell the defaults, which stand in one place.
func defaultsForHelp() map[string]string {
	d := app.Defaults()
	return map[string]string{
		"default_listen": d.Listen, "default_data": d.Data,
		"default_log_level": d.Log.Level, "default_log_format": d.Log.Format,
	}
}

// setting is one value that environment and flags can set.
type setting struct {
	name  string // of the flag
	flag  *string
	to    *string
	check func(string) error
}

func (s *settings) all(c *app.Config) []setting {
	return []setting{
		{"listen", s.Listen, &c.Listen, app.CheckListen},
		{"data", s.Data, &c.Data, notEmpty},
		{"database", s.Database, &c.Database, nil},
		{"connectors", s.Connectors, &c.Connectors, nil},
		{"content", s.Content, &c.Content, nil},
		{"log-level", s.LogLevel, &c.Log.Level, oneOf("debug", "info", "warn", "error")},
		{"log-format", s.LogFormat, &c.Log.Format, oneOf("text", "json")},
	}
}

func notEmpty(v string) error {
	if v == "" {
		return fmt.Errorf("it is empty: %w", fault.Invalid)
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		for _, w := range words {
			if v == w {
				return nil
			}
		}
		return fmt.Errorf("%q is not one of %s: %w", v, strings.Join(words, ", "), fault.Invalid)
	}
}

// load gives the configuration: defaults, then the file, then the environment,
// then flags. It also says which file it was, "" if there was none.
func (s *settings) load(w *world) (app.Config, string, error) {
	c := app.Defaults()
	if w.environ != nil {
		if err := s.misspelt(w.environ()); err != nil {
			return c, "", err
		}
	}
	file, text, err := s.file(w)
	if err != nil {
		return c, file, err
	}
	if file != "" {
		if err := app.ReadConfig(file, text, &c); err != nil {
			return c, file, err
		}
	}
	for _, v := range s.all(&c) {
		env := variable(v.name)
		if err := v.take(env, w.getenv(env)); err != nil {
			return c, file, err
		}
		if v.flag != nil {
			if err := v.check1("--"+v.name, *v.flag); err != nil {
				return c, file, err
			}
			*v.to = *v.flag
		}
	}
	return c, file, c.Check()
}

func (v setting) take(name, value string) error {
	if value == "" {
		return nil
	}
	if err := v.check1(name, value); err != nil {
		return err
	}
	*v.to = value
	return nil
}

func (v setting) check1(name, value string) error {
	if v.check == nil {
		return nil
	}
	if err := v.check(value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// file finds and reads the configuration file.
func (s *settings) file(w *world) (name string, text []byte, err error) {
	asked := s.Config
	from := "--config"
	if asked == "" {
		asked, from = w.getenv("RIPOSTE_CONFIG"), "RIPOSTE_CONFIG"
	}
	names := []string{"riposte.yaml", "/etc/riposte/riposte.yaml"}
	if asked != "" {
		names = []string{asked}
	}
	for _, n := range names {
		text, err = os.ReadFile(n)
		switch {
		case err == nil:
			return n, text, nil
		case asked != "":
			return n, nil, misusef("%s: %s", from, pathError(err))
		case !errors.Is(err, fs.ErrNotExist):
			return n, nil, misusef("read the configuration: %s", pathError(err))
		}
	}
	return "", nil, nil
}

// pathError says what is wrong with a file without the name of a system call.
func pathError(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Path + ": " + p.Err.Error()
	}
	return err.Error()
}

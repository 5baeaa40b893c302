package main

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"riposte/internal/app"
	"riposte/internal/auth"
)

type configCmd struct {
	Check    configCheckCmd    `cmd:"" help:"Tell everything that is wrong with the configuration."`
	Show     configShowCmd     `cmd:"" help:"Show the configuration as it takes effect, defaults included."`
	Password configPasswordCmd `cmd:"" help:"Make the hash of a password for people.NAME.password_hash."`
}

type configCheckCmd struct {
	settings
	File string `arg:"" optional:"" help:"The file to check, instead of --config."`
}

// Examples leads the command's help.
func (*configCheckCmd) Examples() string {
	return "riposte config check riposte.yaml\nRIPOSTE_LISTEN=:8443 riposte config check --config riposte.yaml --json"
}

// Run checks file, environment and flags together.
func (c *configCheckCmd) Run(w *world) error {
	if c.File != "" {
		if c.Config != "" {
			return misusef("name the file once: as an argument or by --config")
		}
		c.Config = c.File
	}
	_, file, err := c.load(w)
	if err != nil {
		return w.diagnosed(err)
	}
	if w.json {
		return w.printJSON(map[string]any{"file": file, "valid": true, "problems": []string{}})
	}
	if file == "" {
		file = "no file, the defaults"
	}
	fmt.Fprintf(w.out, "%s: right\n", file)
	return nil
}

type configShowCmd struct{ settings }

// Examples leads the command's help.
func (*configShowCmd) Examples() string {
	return "riposte config show\nriposte config show --config riposte.yaml --json"
}

// Run shows what takes effect, without passwords and hashes.
func (c *configShowCmd) Run(w *world) error {
	cfg, file, err := c.load(w)
	if err != nil {
		return w.diagnosed(err)
	}
	for n, p := range cfg.People {
		if p.PasswordHash != "" {
			p.PasswordHash = "[set]"
			cfg.People[n] = p
		}
	}
	for n, s := range cfg.Sources {
		if s.TokenHash != "" {
			s.TokenHash = "[set]"
			cfg.Sources[n] = s
		}
	}
	text := app.ShowConfig(cfg)
	if w.json {
		return w.printJSON(text)
	}
	if file != "" {
		fmt.Fprintf(w.err, "from %s, environment and flags\n", file)
	}
	w.tree(text, "")
	return nil
}

// tree prints nested maps as YAML.
func (w *world) tree(m map[string]any, indent string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		switch v := m[k].(type) {
		case map[string]any:
			if holds(v) {
				fmt.Fprintf(w.out, "%s%s:\n", indent, k)
				w.tree(v, indent+"  ")
			}
		case []any:
			if len(v) > 0 {
				texts := make([]string, len(v))
				for i := range v {
					texts[i] = fmt.Sprintf("%q", fmt.Sprint(v[i]))
				}
				fmt.Fprintf(w.out, "%s%s: [ %s ]\n", indent, k, strings.Join(texts, ", "))
			}
		case string:
			if v != "" {
				fmt.Fprintf(w.out, "%s%s: %q\n", indent, k, v)
			}
		default:
			fmt.Fprintf(w.out, "%s%s: %v\n", indent, k, v)
		}
	}
}

// holds tells whether anything in a tree is set.
func holds(m map[string]any) bool {
	for _, v := range m {
		switch v := v.(type) {
		case map[string]any:
			if holds(v) {
				return true
			}
		case []any:
			if len(v) > 0 {
				return true
			}
		case string:
			if v != "" {
				return true
			}
		default:
			return true
		}
	}
	return false
}

type configPasswordCmd struct{}

// Examples leads the command's help.
func (*configPasswordCmd) Examples() string {
	return "riposte config password              asks for it\nriposte config password <password.txt"
}

// Run asks for a password and prints its hash.
func (*configPasswordCmd) Run(w *world) error {
	password, err := w.secret("Password", "Again")
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(password) < auth.MinPassword {
		return misusef("the password is too short; use at least %d characters", auth.MinPassword)
	}
	if len(password) > auth.MaxPassword {
		return misusef("the password is longer than %d bytes", auth.MaxPassword)
	}
	salt := make([]byte, auth.SaltBytes)
	_, _ = rand.Read(salt) // never fails
	hash := auth.HashPassword(password, salt)
	if w.json {
		return w.printJSON(map[string]string{"password_hash": hash})
	}
	fmt.Fprintln(w.out, hash)
	return nil
}

// secret asks for a secret on the terminal, twice where again is not "", or
// reads one line from standard input where there is no terminal.
func (w *world) secret(what, again string) (string, error) {
	if w.askSecret == nil {
		line, err := bufio.NewReader(io.LimitReader(w.in, 64<<10)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", fmt.Errorf("read the secret from standard input: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return "", misusef("there is no terminal to ask on and standard input is empty; pipe the secret in")
		}
		return line, nil
	}
	fmt.Fprintf(w.err, "%s: ", what)
	first, err := w.askSecret()
	fmt.Fprintln(w.err)
	if err != nil || again == "" {
		return first, err
	}
	fmt.Fprintf(w.err, "%s: ", again)
	second, err := w.askSecret()
	fmt.Fprintln(w.err)
	if err == nil && first != second {
		return "", misusef("the two are not the same")
	}
	return first, err
}

// diagnosed prints errors of files one a line, as other tools do, and leaves
// only the exit code to say. With --json they are data.
func (w *world) diagnosed(err error) error {
	places := places(err)
	if len(places) == 0 {
		return err
	}
	if w.json {
		if err := w.printJSON(map[string]any{"valid": false, "problems": places}); err != nil {
			return err
		}
	} else {
		for _, p := range places {
			fmt.Fprintln(w.err, p.String())
		}
	}
	return silent{exitMisused}
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"riposte/internal/score"
)

// labelledFile is a file of events, and the file that says what became of them,
// "" where they say it themselves.
type labelledFile struct{ events, truth string }

// eventFiles are the files of a folder that are taken for events.
var eventFiles = []string{".jsonl", ".ndjson", ".json", ".log", ".txt", ".cef", ".leef"}

// labelledFiles finds the files of events and, in truth/ beside them or where
// the flag says, those with their outcomes. A folder gives those of its files
// that have outcomes.
func labelledFiles(args []string, truth string) (files []labelledFile, err error) {
	folder := false
	if truth != "" {
		info, err := os.Stat(truth)
		if err != nil {
			return nil, misusef("--truth: %s", pathError(err))
		}
		folder = info.IsDir()
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case arg == "-":
			files = append(files, labelledFile{arg, ""})
			continue
		case err != nil:
			return nil, misusef("%s", pathError(err))
		case !info.IsDir():
			files = append(files, labelledFile{arg, truthOf(arg, truth, folder)})
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		for _, e := range entries {
			path := filepath.Join(arg, e.Name())
			if e.Type().IsRegular() && slices.Contains(eventFiles, filepath.Ext(path)) {
				files = append(files, labelledFile{path, truthOf(path, truth, folder)})
			}
		}
	}
	if truth != "" && !folder {
		if len(files) != 1 {
			return nil, misusef("--truth names one file, and there are %d files of events; name a folder that has a file of the same name for each", len(files))
		}
		files[0].truth = truth
	}
	return files, nil
}

// truthOf finds the outcomes of a file of events: the same name, with .jsonl.
func truthOf(events, truth string, folder bool) string {
	dir := filepath.Join(filepath.Dir(events), "truth")
	if folder {
		dir = truth
	}
	name := strings.TrimSuffix(filepath.Base(events), filepath.Ext(events))
	path := filepath.Join(dir, name+".jsonl")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// readTruth reads outcomes by the line of the event; "" for a line of which the
// truth says something else than whether the detection was right.
func readTruth(w *world, file string, level int) (map[int]string, error) {
	if file == "" {
		return nil, nil
	}
	truth := map[int]string{}
	err := eachObject(w, file, func(raw []byte) error {
		var o map[string]any
		if err := json.Unmarshal(raw, &o); err != nil {
			return fmt.Errorf("expected an object with line and outcome")
		}
		line, ok := o["line"].(float64)
		if !ok || line < 1 || line != float64(int(line)) {
			return fmt.Errorf("line is missing or no number; expected the line of the event, counted from 1")
		}
		if _, twice := truth[int(line)]; twice {
			return fmt.Errorf("line %d is here twice", int(line))
		}
		outcome, _, err := outcomeIn(o)
		if err != nil {
			return err
		}
		if outcome == "" && level > 0 {
			outcome = byLevel(o, level)
		}
		truth[int(line)] = outcome
		return nil
	})
	return truth, err
}

// byLevel makes an outcome of a rule's level, for want of one.
func byLevel(o map[string]any, level int) string {
	for _, key := range []string{"level", "wazuh_level", "rule_level"} {
		n, ok := o[key].(float64)
		switch {
		case !ok:
		case n >= float64(level):
			return score.Outcomes[0]
		default:
			return score.Outcomes[2]
		}
	}
	return ""
}

// outcomeKeys are the names under which labels say whether a detection is right.
// The first ones are ours.
var outcomeKeys = []string{
	"outcome", "verdict", "label", "true_positive", "must_match", "rule_matches", "should_match", "expected_match", "expected", "expected_result", "match", "malicious", "is_malicious", "is_attack",
}

// outcomeIn finds the outcome in an object and the key that holds it. An outcome
// of ours that is none is an error; other fields may mean other things.
func outcomeIn(o map[string]any) (outcome, key string, err error) {
	for _, k := range outcomeKeys {
		switch v := o[k].(type) {
		case bool:
			return map[bool]string{true: score.Outcomes[0], false: score.Outcomes[2]}[v], k, nil
		case string:
			word := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(v)), "-", "_")
			word = strings.ReplaceAll(word, " ", "_")
			if slices.Contains(score.Outcomes, word) {
				return word, k, nil
			}
			if k == "outcome" && !strings.Contains(strings.TrimSpace(v), " ") {
				return "", k, fmt.Errorf("outcome is %q; expected true_positive, benign_positive, false_positive, true or false", v)
			}
		case nil:
		default:
			if k == "outcome" {
				return "", k, fmt.Errorf("outcome is no word; expected true_positive, benign_positive, false_positive, true or false")
			}
		}
	}
	// A truth that names the detection which must fire on the event.
	if _, ok := o["sigma_rule_id"].(string); ok && o["line"] != nil {
		return score.Outcomes[0], "sigma_rule_id", nil
	}
	return "", "", nil
}

// unlabel takes the label off an event or record: {"event": …, "outcome": …},
// {"alert": …, "outcome": …}, or outcome among the fields. Only the names that
// are ours are looked for: a product's event may hold any other.
func unlabel(raw []byte) (event []byte, outcome string, known bool, err error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return raw, "", false, nil
	}
	_, record := fields["identity_key"]
	label := map[string]any{}
	for _, k := range []string{"outcome", "verdict"} {
		var v any
		if json.Unmarshal(fields[k], &v) == nil && v != nil && (k == "outcome" || record) {
			label[k] = v
		}
	}
	for _, k := range []string{"event", "alert"} {
		inner := fields[k]
		if len(inner) > 0 && label["outcome"] != nil && len(fields) <= 4 {
			outcome, _, err = outcomeIn(label)
			var text string
			if json.Unmarshal(inner, &text) == nil {
				return []byte(text), outcome, outcome != "", err
			}
			return inner, outcome, outcome != "", err
		}
	}
	outcome, key, err := outcomeIn(label)
	switch {
	case err != nil && record:
		return raw, "", false, err
	case err != nil || outcome == "":
		return raw, "", false, nil // an event's own outcome, such as FAILURE
	}
	delete(fields, key)
	event, err = json.Marshal(fields)
	return event, outcome, true, err
}

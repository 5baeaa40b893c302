package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

// clockFunction holds the functions on times. None reads a clock: now and ago
// use the time of the event being handled.
func clockFunction(name string) (function, bool) {
	switch name {
	case "now":
		return function{params: []param{{kindZone}}, out: gives(Time()), call: now}, true
	case "ago":
		return function{params: []param{aSpan}, least: 1, out: gives(Time()), call: ago, literals: literalSpan}, true
	case "duration":
		return function{params: []param{aSpan}, least: 1, out: gives(Duration()), call: toDuration, literals: literalSpan}, true
	case "duration_text":
		return function{params: []param{aSpan}, least: 1, out: gives(Text()), call: durationWords, literals: literalSpan}, true
	case "date":
		return function{params: []param{{KindText, kindZone, KindTime}, aText, aText}, least: 1, out: gives(Time()), call: date}, true
	case "timezone":
		return function{params: []param{aText}, least: 1, out: gives(Type{kind: kindZone}), call: timezone}, true
	}
	return function{}, false
}

func now(m *machine, args []any) (any, error) {
	if m.env.Now.IsZero() {
		return nil, failf(-1, "the time is not known here")
	}
	if len(args) == 1 {
		return m.env.Now.In(args[0].(*time.Location)), nil
	}
	return m.env.Now.UTC(), nil
}

func ago(m *machine, args []any) (any, error) {
	t, err := now(m, nil)
	if err != nil {
		return nil, err
	}
	d, err := spanOf(args[0])
	if err != nil {
		return nil, err
	}
	return t.(time.Time).Add(-d), nil
}

func toDuration(_ *machine, args []any) (any, error) {
	d, err := spanOf(args[0])
	return d, err
}

// spanOf reads a length of time: a duration, a number of seconds, or a text.
func spanOf(v any) (time.Duration, error) {
	switch v := v.(type) {
	case time.Duration:
		return v, nil
	case int, float64:
		f, _ := asFloat(v)
		if f > 1e9 || f < -1e9 {
			return 0, failf(-1, "%s seconds are too many", floatText(f))
		}
		return time.Duration(f * float64(time.Second)), nil
	case string:
		return parseSpan(v)
	}
	return 0, failf(-1, "%s is no length of time", describe(v))
}

// parseSpan reads 30s, 5m, 2h, 7d, and what the library reads, such as 1h30m.
func parseSpan(s string) (time.Duration, error) {
	text := strings.TrimSpace(s)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n <= 100_000 && n >= -100_000 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, failf(-1, "%s is no length of time", quote(s)).hinted("write a whole number and s, m, h or d, such as 7d")
	}
	return d, nil
}

func literalSpan(args []ast.Node) error {
	if len(args) == 0 {
		return nil
	}
	s, ok := args[0].(*ast.StringNode)
	if !ok {
		return nil
	}
	_, err := parseSpan(s.Value)
	return placed(err, where(s))
}

// durationWords writes a length of time for people: its two largest units.
func durationWords(_ *machine, args []any) (any, error) {
	d, err := spanOf(args[0])
	if err != nil {
		return nil, err
	}
	return spanWords(d), nil
}

func spanWords(d time.Duration) string {
	if d < 0 {
		return "minus " + spanWords(-d)
	}
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		words := plural(int(d/u.size), u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				words += " " + plural(int(rest), units[i+1].name)
			}
		}
		return words
	}
	return "0 seconds"
}

// dateLayouts are what date reads without a layout, as in the library.
var dateLayouts = []string{
	"2006-01-02", "15:04:05", "2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05", time.RFC822, time.RFC850, time.RFC1123,
	time.RFC1123Z, time.RFC822Z,
}

func date(_ *machine, args []any) (any, error) {
	zone := time.UTC
	if z, ok := args[0].(*time.Location); ok {
		zone, args = z, args[1:]
	}
	if len(args) == 0 {
		return nil, failf(-1, "date needs a text")
	}
	if t, ok := args[0].(time.Time); ok {
		return t, nil
	}
	text, ok := args[0].(string)
	if !ok {
		return nil, failf(-1, "date needs a text, not %s", describe(args[0]))
	}
	if len(args) == 3 {
		z, err := loadZone(args[2].(string))
		if err != nil {
			return nil, err
		}
		zone = z
	}
	if len(args) >= 2 {
		t, err := time.ParseInLocation(args[1].(string), text, zone)
		if err != nil {
			return nil, failf(-1, "%s is no date of the form %s", quote(text), quote(args[1].(string)))
		}
		return t.UTC(), nil
	}
	for _, layout := range dateLayouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	return nil, failf(-1, "%s is no date", quote(text)).hinted(`write it as 2006-01-02 or in RFC 3339, or give its layout as second argument`)
}

func timezone(_ *machine, args []any) (any, error) {
	z, err := loadZone(args[0].(string))
	if err != nil {
		return nil, err
	}
	return z, nil
}

func loadZone(name string) (*time.Location, error) {
	// "Local" would make the result depend on the machine.
	if z, err := time.LoadLocation(name); err == nil && name != "Local" {
		return z, nil
	}
	return nil, failf(-1, "%s is no known time zone", quote(name)).hinted("write it as Europe/Berlin or UTC")
}

// methodNames are the methods of times and durations.
var methodNames = map[string]bool{
	"Year": true, "Month": true, "Day": true, "Hour": true, "Minute": true, "Second": true, "Weekday": true,
	"YearDay": true, "Unix": true, "UnixMilli": true, "Format": true, "Add": true, "Sub": true, "Before": true,
	"After": true, "Equal": true, "UTC": true, "In": true, "Hours": true, "Minutes": true, "Seconds": true,
	"Milliseconds": true, "Truncate": true,
}

// clockMethod finds a method of times or durations, by the library's names.
func clockMethod(name string) (function, bool) {
	ofTime := func(f func(time.Time) any, t Type) (function, bool) {
		return function{params: []param{aTime}, least: 1, out: gives(t), call: func(_ *machine, args []any) (any, error) {
			at, err := needTime(args[0])
			if err != nil {
				return nil, err
			}
			return f(at), nil
		}}, true
	}
	ofSpan := func(f func(time.Duration) any) (function, bool) {
		return function{params: []param{{KindDuration}}, least: 1, out: gives(Number()), call: func(_ *machine, args []any) (any, error) {
			return f(args[0].(time.Duration)), nil
		}}, true
	}
	switch name {
	case "Year":
		return ofTime(func(t time.Time) any { return t.Year() }, Int())
	case "Month":
		return ofTime(func(t time.Time) any { return int(t.Month()) }, Int())
	case "Day":
		return ofTime(func(t time.Time) any { return t.Day() }, Int())
	case "Hour":
		return ofTime(func(t time.Time) any { return t.Hour() }, Int())
	case "Minute":
		return ofTime(func(t time.Time) any { return t.Minute() }, Int())
	case "Second":
		return ofTime(func(t time.Time) any { return t.Second() }, Int())
	case "Weekday":
		return ofTime(func(t time.Time) any { return t.Weekday().String() }, Text())
	case "YearDay":
		return ofTime(func(t time.Time) any { return t.YearDay() }, Int())
	case "Unix":
		return ofTime(func(t time.Time) any { return int(t.Unix()) }, Int())
	case "UnixMilli":
		return ofTime(func(t time.Time) any { return int(t.UnixMilli()) }, Int())
	case "UTC":
		return ofTime(func(t time.Time) any { return t.UTC() }, Time())
	case "Hours":
		return ofSpan(func(d time.Duration) any { return d.Hours() })
	case "Minutes":
		return ofSpan(func(d time.Duration) any { return d.Minutes() })
	case "Seconds":
		return ofSpan(func(d time.Duration) any { return d.Seconds() })
	case "Milliseconds":
		return ofSpan(func(d time.Duration) any { return int(d.Milliseconds()) })
	}
	return clockMethod2(name)
}

// clockMethod2 finds the methods that take an argument.
func clockMethod2(name string) (function, bool) {
	method := func(arg param, out Type, f func(t time.Time, arg any) (any, error)) (function, bool) {
		return function{params: []param{aTime, arg}, least: 2, out: gives(out), call: func(_ *machine, args []any) (any, error) {
			t, err := needTime(args[0])
			if err != nil {
				return nil, err
			}
			return f(t, args[1])
		}}, true
	}
	against := func(out Type, f func(t, u time.Time) any) (function, bool) {
		return method(aTime, out, func(t time.Time, arg any) (any, error) {
			u, err := needTime(arg)
			if err != nil {
				return nil, err
			}
			return f(t, u), nil
		})
	}
	switch name {
	case "Format":
		return method(aText, Text(), func(t time.Time, arg any) (any, error) {
			if len(arg.(string)) > 200 {
				return nil, failf(-1, "the layout is too long")
			}
			return t.Format(arg.(string)), nil
		})
	case "Add":
		return method(aSpan, Time(), func(t time.Time, arg any) (any, error) {
			d, err := spanOf(arg)
			return t.Add(d), err
		})
	case "Truncate":
		return method(aSpan, Time(), func(t time.Time, arg any) (any, error) {
			d, err := spanOf(arg)
			return t.Truncate(d), err
		})
	case "In":
		return method(param{kindZone}, Time(), func(t time.Time, arg any) (any, error) { return t.In(arg.(*time.Location)), nil })
	case "Sub":
		return against(Duration(), func(t, u time.Time) any { return t.Sub(u) })
	case "Before":
		return against(Bool(), func(t, u time.Time) any { return t.Before(u) })
	case "After":
		return against(Bool(), func(t, u time.Time) any { return t.After(u) })
	case "Equal":
		return against(Bool(), func(t, u time.Time) any { return t.Equal(u) })
	}
	return function{}, false
}

func needTime(v any) (time.Time, error) {
	t, ok := asTime(v)
	if !ok {
		return t, failf(-1, "%s is no time in RFC 3339", describe(v))
	}
	return t, nil
}

package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// micros turns a time into what is stored: microseconds UTC, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// clock is the way back.
func clock(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// value turns a parameter into one of the few types that the driver knows: times
// into microseconds, JSON into text (NULL when empty), named types into what
// they are made of.
func value(a any) (driver.Value, error) {
	switch v := a.(type) {
	case nil, int64, string, []byte, float64:
		return v, nil
	case int:
		return int64(v), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case time.Time:
		return micros(v), nil
	case time.Duration:
		return v.Microseconds(), nil
	case json.RawMessage:
		if len(v) == 0 {
			return nil, nil
		}
		return string(v), nil
	}
	r := reflect.ValueOf(a)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(r.Uint()), nil
	case reflect.String:
		return r.String(), nil
	}
	return nil, fmt.Errorf("a %T cannot be stored", a)
}

// scan puts a column into the place p points to.
func scan(v driver.Value, p any) error {
	switch p := p.(type) {
	case *int64:
		return scanInt(v, p)
	case *int:
		return scanInt(v, p)
	case *time.Duration:
		var us int64
		err := scanInt(v, &us)
		*p = time.Duration(us) * time.Microsecond
		return err
	case *time.Time:
		var us int64
		err := scanInt(v, &us)
		*p = clock(us)
		return err
	case *bool:
		var n int64
		err := scanInt(v, &n)
		*p = n != 0
		return err
	case *string:
		return scanText(v, p)
	case *[]byte:
		return scanBytes(v, p)
	case *json.RawMessage:
		return scanBytes(v, (*[]byte)(p))
	case *float64:
		return scanFloat(v, p)
	}
	return scanNamed(v, p)
}

func scanInt[T int | int64](v driver.Value, p *T) error {
	switch v := v.(type) {
	case int64:
		*p = T(v)
	case bool: // what PostgreSQL makes of a condition
		*p = 0
		if v {
			*p = 1
		}
	case nil:
		*p = 0
	default:
		return fmt.Errorf("it holds a %T, an integer is needed", v)
	}
	return nil
}

func scanText(v driver.Value, p *string) error {
	switch v := v.(type) {
	case string:
		*p = v
	case []byte:
		*p = string(v)
	case nil:
		*p = ""
	default:
		return fmt.Errorf("it holds a %T, a text is needed", v)
	}
	return nil
}

func scanBytes(v driver.Value, p *[]byte) error {
	switch v := v.(type) {
	case []byte:
		*p = v
	case string:
		*p = []byte(v)
	case nil:
		*p = nil
	default:
		return fmt.Errorf("it holds a %T, bytes are needed", v)
	}
	return nil
}

func scanFloat(v driver.Value, p *float64) error {
	switch v := v.(type) {
	case float64:
		*p = v
	case int64:
		*p = float64(v)
	case nil:
		*p = 0
	default:
		return fmt.Errorf("it holds a %T, a number is needed", v)
	}
	return nil
}

// scanNamed serves pointers to types made of an integer or a text.
func scanNamed(v driver.Value, p any) error {
	r := reflect.ValueOf(p)
	if r.Kind() != reflect.Pointer {
		return fmt.Errorf("%T is no pointer", p)
	}
	r = r.Elem()
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if err := scanInt(v, &n); err != nil {
			return err
		}
		r.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		var n int64
		if err := scanInt(v, &n); err != nil {
			return err
		}
		r.SetUint(uint64(n))
	case reflect.String:
		var s string
		if err := scanText(v, &s); err != nil {
			return err
		}
		r.SetString(s)
	default:
		return fmt.Errorf("cannot scan into a %T", p)
	}
	return nil
}

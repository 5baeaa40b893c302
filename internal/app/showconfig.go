package app

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"riposte/internal/store"
	"riposte/internal/strictyaml"
	"riposte/playbook"
)

// ShowConfig gives a configuration as the file would hold it, but for the
// password of the database.
func ShowConfig(c Config) map[string]any {
	if c.Database != "" {
		c.Database = store.Name(c.Database)
	}
	m, _ := plainValue(reflect.ValueOf(c)).(map[string]any)
	return m
}

func plainValue(v reflect.Value) any {
	if d, ok := v.Interface().(time.Duration); ok {
		return playbook.FormatDuration(d)
	}
	if n, ok := v.Interface().(strictyaml.Size); ok {
		return sizeText(n)
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil || len(text) == 0 {
			return nil
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			m[name] = plainValue(v.Field(i))
		}
		return m
	case reflect.Map:
		m := map[string]any{}
		for _, k := range v.MapKeys() {
			m[k.String()] = plainValue(v.MapIndex(k))
		}
		return m
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plainValue(v.Index(i))
		}
		return list
	case reflect.String:
		return v.String()
	}
	return v.Interface()
}

package app_test

import (
	"context"
	"path/filepath"
	"testing"

	"riposte/internal/app"
)

func TestAStartThatFailsMakesNoAdministratorWhomNobodyKnows(t *testing.T) {
	t.Parallel()
	cfg := app.Defaults()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	bad := cfg
	bad.Guard.Limits = filepath.Join(cfg.Data, "there-is-none.yaml")
	if _, err := app.New(context.Background(), bad, app.Options{}); err == nil {
		t.Fatal("it started without its limits")
	}
	a, err := app.New(context.Background(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if name, password := a.FirstPassword(); name != "admin" || password == "" {
		t.Errorf("the first start that works tells %q, %q", name, password)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
}

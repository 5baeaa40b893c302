package expr_test

import (
	"fmt"

	"riposte/internal/expr"
)

func place(e *expr.Error) string { return fmt.Sprintf("%d:%d: ", e.Line, e.Column) }

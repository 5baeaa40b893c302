package expr

// Program is a compiled expression.
type Program struct{ source string }

// Value is a compiled value: a tree whose texts may hold expressions.
type Value struct{ tree any }

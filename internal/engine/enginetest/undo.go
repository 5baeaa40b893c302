package enginetest

var undoTests = []test{}

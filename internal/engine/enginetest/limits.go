package enginetest

var limitTests = []test{}

package enginetest

var crashTests = []test{}

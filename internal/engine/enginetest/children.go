package enginetest

var childTests = []test{}

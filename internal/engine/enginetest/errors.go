package enginetest

var errorTests = []test{}

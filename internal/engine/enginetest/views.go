package enginetest

var viewTests = []test{}

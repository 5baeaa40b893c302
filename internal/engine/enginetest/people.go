package enginetest

var peopleTests = []test{}

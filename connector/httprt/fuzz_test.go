package httprt

import (
	"net/http"
	"testing"
)

// FuzzAnswers holds the decoders to coming back, whatever a product sends.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,null]}`, "{\"a\":1}\n{\"a\":2}", `<a b="c">d<e/></a>`, "\xef\xbb\xbf[]", `[[[[`, "hello"} {
		f.Add([]byte(s), `<https://x.test/?p=2>; rel="next"`)
	}
	f.Fuzz(func(t *testing.T, body []byte, link string) {
		for _, kind := range []string{"json", "ndjson", "xml", "text", "base64", "any"} {
			for _, status := range []int{200, 500} {
				a := &answer{status: status, header: http.Header{"Link": {link}}}
				a.decode(body, kind)
				_ = a.saying()
				if status == 500 && a.broken != "" {
					t.Fatalf("an error answer is never broken: %s", a.broken)
				}
			}
		}
		linkNext(http.Header{"Link": {link}})
	})
}

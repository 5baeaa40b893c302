// Package web embeds the page that the server shows at /. It is plain HTML, CSS
// and JavaScript, served as it lies here: nothing is loaded from elsewhere.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

//go:embed page
var files embed.FS

// Page serves the page and its parts. Every path without a file is the page
// itself: it shows what the path names.
func Page() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		return http.NotFoundHandler() // the folder is embedded: it is there
	}
	static := http.FileServerFS(page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is offered here", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		if path.Ext(r.URL.Path) == "" {
			http.ServeFileFS(w, r, page, "page.html")
			return
		}
		static.ServeHTTP(w, r)
	})
}

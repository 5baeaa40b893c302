// Package web holds the page that the server shows, inside the binary.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

// Page answers everything that is not the API.
func Page() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil { // the folder is embedded: it is there
		return http.NotFoundHandler()
	}
	return http.FileServerFS(page)
}

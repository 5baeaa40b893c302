// Package httpapi is the HTTP side of Riposte: the API that its OpenAPI
// document describes, live events, sign-in, and the page at /. It turns
// requests into calls of the interfaces declared here and their answers into
// JSON; it decides nothing that the rules decide.
//
// Every answer that is an error is application/problem+json (RFC 9457), every
// route but health and sign-in needs an identity, and every route names the
// permission it needs. A test walks the document and holds both.
package httpapi

//go:generate env UPDATE=1 go test -count=1 -run TestTheDocumentInTheRepositoryIsFresh .

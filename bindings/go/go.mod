// A placeholder until the project has a public home: this line and the imports of programs that use the package are the
// only places that name it. Until then: go mod edit -replace example.com/wtgram=/path/to/wtgram/bindings/go
module example.com/wtgram

go 1.24

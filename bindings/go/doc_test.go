package wtgram_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
	"testing"
)

// Documentation sites show the comment of each exported name.
func TestEveryExportedNameHasADocComment(t *testing.T) {
	isSource := func(file fs.FileInfo) bool { return !strings.HasSuffix(file.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), ".", isSource, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	check := func(name string, comments ...*ast.CommentGroup) {
		if !ast.IsExported(name) {
			return
		}
		names++
		for _, comment := range comments {
			if comment != nil {
				return
			}
		}
		t.Errorf("%s has no doc comment", name)
	}
	for _, file := range packages["wtgram"].Files {
		for _, declaration := range file.Decls {
			switch declaration := declaration.(type) {
			case *ast.FuncDecl:
				if name := declaration.Name.Name; name != "Error" && isOfExportedType(declaration) {
					check(name, declaration.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range declaration.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						check(spec.Name.Name, spec.Doc, declaration.Doc)
					case *ast.ValueSpec:
						typed, _ := spec.Type.(*ast.Ident)
						if typed != nil && ast.IsExported(typed.Name) {
							continue // a constant of a documented type
						}
						check(spec.Names[0].Name, spec.Doc, spec.Comment, declaration.Doc)
					}
				}
			}
		}
	}
	if names < 100 {
		t.Fatalf("only %d names were found", names)
	}
}

func isOfExportedType(function *ast.FuncDecl) bool {
	if function.Recv == nil {
		return true
	}
	receiver := function.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && ast.IsExported(name.Name)
}

// Package docs makes the reference documentation from what the programs
// themselves say: manual pages, completions and tables from the command line,
// the configuration's reference from its schema. Tests hold the committed files
// against it, so that no option is without documentation and none is documented
// that does not exist. `make manual` writes the files again.
package docs

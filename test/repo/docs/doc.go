// Package docs generates the reference documentation: manual pages, completions and
// tables from the programs' command lines, the configuration's reference from its
// schema. Tests compare the committed files with it, so that every option is documented
// and every documented option exists. `make manual` writes the files.
package docs

package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/job"
)

// Setting is a key with the value that it has.
type Setting struct {
	// Key is the dotted key; those of [[batch.rule]] are counted from one,
	// "batch.rule[1].args".
	Key string `json:"key"`
	// Value is the value in TOML, "" where the key has none.
	Value string `json:"value,omitempty"`
	// From is where it comes from.
	From Origin `json:"from"`
	// Line is its line where it comes from the file, and Name its name there where that
	// is another one.
	Line int    `json:"line,omitempty"`
	Name string `json:"name,omitempty"`
	// Otherwise is the effect of a key without a value.
	Otherwise string `json:"otherwise,omitempty"`
}

// Origin is where the value of a key comes from.
type Origin string

// The origins.
const (
	FromFile    Origin = "file"
	FromDefault Origin = "default"
	// FromServer is gitlab_server, which some keys repeat.
	FromServer Origin = "gitlab_server"
	Unset      Origin = "unset"
)

// Effective returns every key of the schema with the value that it has for jobs, in the
// order of the manual. A file with a fault has no effect, and gives the error of Load.
func Effective(path job.AbsPath) ([]Setting, error) { return read(path, effective) }

func effective(text string) ([]Setting, error) {
	c, d, err := decode(text)
	if err != nil {
		return nil, err
	}
	return settingWriter{d, locate(text), c.General.GitLabServer.String()}.all(), nil
}

// settingWriter writes the settings of one document.
type settingWriter struct {
	decoder
	lines  map[string]int
	server string
}

func (w settingWriter) all() (all []Setting) {
	done := ""
	for _, k := range Reference() {
		switch table, _ := split(k.Path); {
		case !IsArray(table):
			value, given := lookup(w.doc, k.Path)
			all = append(all, w.setting(k, k.Path, value, given))
		case table != done:
			done = table
			all = append(all, w.entries(table)...)
		}
	}
	return all
}

// entries are the keys of each entry of an array of tables that the file has.
func (w settingWriter) entries(table string) (all []Setting) {
	list, _ := lookup(w.doc, table)
	tables, _ := array(list)
	for i, entry := range tables {
		keys, _ := entry.(map[string]any)
		for _, k := range Reference() {
			in, name := split(k.Path)
			if value, given := keys[name]; in == table && given {
				all = append(all, w.setting(k, entryKey(table, i)+"."+name, value, true))
			}
		}
	}
	return all
}

func (w settingWriter) setting(k Key, path string, value any, given bool) Setting {
	s := Setting{Key: path, From: Unset}
	switch {
	case given:
		s.From, s.Name, s.Line = FromFile, w.written[path], w.lines[path]
		if s.Name != "" {
			s.Line = w.lines[s.Name]
		}
	case k.Default != nil:
		s.From, value = FromDefault, k.Default
	case path == "general.jwt_issuer" || path == "general.jwt_required_aud":
		s.From, value = FromServer, w.server
	default:
		s.Otherwise = k.Otherwise
		return s
	}
	s.Value = literal(value)
	return s
}

// literal writes a value in TOML.
func literal(value any) string {
	line, _ := toml.Marshal(map[string]any{"x": value}) // what was decoded can be encoded
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), " = ")
	return text
}

// lookup finds the value at a path of tables.
func lookup(doc map[string]any, path string) (value any, given bool) {
	value, given = doc, true
	for name := range strings.SplitSeq(path, ".") {
		table, _ := value.(map[string]any)
		if value, given = table[name]; !given {
			return nil, false
		}
	}
	return value, given
}

// CheckValue returns what is wrong with a text as the value of one key, and of that key
// alone: the other keys of a configuration may still be missing.
func CheckValue(path, text string) error {
	general := map[string]any{"gitlab_server": "https://gitlab.example.com", "data_dir": "$HOME", "executor": "shell"}
	doc := map[string]any{"general": general, "auth": map[string]any{"downscope": "setuid"}}
	table, name := split(path)
	to, ok := doc[table].(map[string]any)
	if !ok {
		return fmt.Errorf("the configuration has no key %s that is asked for", path)
	}
	to[name] = text
	written, _ := toml.Marshal(doc) // tables of texts have no error
	_, err := parse(string(written))
	faults, ok := errors.AsType[*multierror.Error](err)
	if !ok {
		return err
	}
	for _, one := range faults.Errors {
		if f, _ := errors.AsType[Fault](one); f.covers(path) {
			return errors.New(f.Text)
		}
	}
	return nil
}

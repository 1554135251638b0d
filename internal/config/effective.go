package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
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
func Effective(path job.AbsPath) ([]Setting, error) {
	text, err := trustedfile.Self().Read(path, maxSize)
	if err != nil {
		return nil, failure.Configf("cannot use the configuration: %w", err)
	}
	settings, err := effective(string(text))
	if err != nil {
		return nil, failure.Configf("cannot use the configuration %s: %w", path, err)
	}
	return settings, nil
}

func effective(text string) ([]Setting, error) {
	c, err := parse(text)
	if err != nil {
		return nil, err
	}
	doc := map[string]any{}
	if _, err := toml.Decode(text, &doc); err != nil {
		return nil, err
	}
	d := decoder{written: map[string]string{}}
	d.resolveAliases(doc)
	w := settingWriter{d, doc, locate(text), c.General.GitLabServer.String()}
	return w.all()
}

// settingWriter writes the settings of one document.
type settingWriter struct {
	decoder
	doc    map[string]any
	lines  map[string]int
	server string
}

func (w settingWriter) all() (all []Setting, err error) {
	done := ""
	for _, k := range Reference() {
		var some []Setting
		switch table, _ := split(k.Path); {
		case !IsArray(table):
			value, given := lookup(w.doc, k.Path)
			some, err = w.setting(k, k.Path, value, given)
		case table != done:
			done = table
			some, err = w.entries(table)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// entries are the keys of each entry of an array of tables that the file has.
func (w settingWriter) entries(table string) (all []Setting, err error) {
	list, _ := lookup(w.doc, table)
	tables, _ := array(list)
	for i, entry := range tables {
		keys, _ := entry.(map[string]any)
		for _, k := range Reference() {
			in, name := split(k.Path)
			value, given := keys[name]
			if in != table || !given {
				continue
			}
			s, err := w.setting(k, entryKey(table, i)+"."+name, value, true)
			if err != nil {
				return nil, err
			}
			all = append(all, s...)
		}
	}
	return all, nil
}

func (w settingWriter) setting(k Key, path string, value any, given bool) ([]Setting, error) {
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
		return []Setting{s}, nil
	}
	var err error
	s.Value, err = literal(value)
	return []Setting{s}, err
}

// literal writes a value in TOML.
func literal(value any) (string, error) {
	line, err := toml.Marshal(map[string]any{"x": value})
	if err != nil {
		return "", fmt.Errorf("cannot write a value: %w", err)
	}
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), " = ")
	return text, nil
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
	var faults *multierror.Error
	if !errors.As(err, &faults) {
		return err
	}
	for _, one := range faults.Errors {
		var f Fault
		if _ = errors.As(one, &f); f.covers(path) {
			return errors.New(f.Text)
		}
	}
	return nil
}

package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// leaves lists the keys of a struct tree, as the manual names them.
func leaves(of reflect.Type, path string) (keys []string) {
	for name, field := range fields(reflect.New(of).Elem()) {
		t, key := field.Type(), join(path, name)
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		// A table is a struct with toml tags; every other struct is a value.
		if t.Kind() == reflect.Struct && t.NumField() > 0 && (t.Field(0).Anonymous || t.Field(0).Tag.Get("toml") != "") {
			keys = append(keys, leaves(t, key)...)
		} else {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestSchemaAndStructAgree(t *testing.T) {
	inStruct := leaves(reflect.TypeFor[Config](), "")
	var inTable []string
	for _, k := range Reference() {
		inTable = append(inTable, k.Path)
	}
	for _, key := range inStruct {
		if !slices.Contains(inTable, key) {
			t.Errorf("%s is in the struct and not in the table", key)
		}
	}
	for i, key := range inTable {
		if !slices.Contains(inStruct, key) {
			t.Errorf("%s is in the table and not in the struct", key)
		}
		if slices.Contains(inTable[:i], key) {
			t.Errorf("%s is in the table twice", key)
		}
	}
	if len(inStruct) < 60 {
		t.Errorf("only %d keys were found: the search does not see the tables", len(inStruct))
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	for _, k := range Reference() {
		_, name := split(k.Path)
		ways := 0
		for _, way := range []bool{k.Required, k.Default != nil, k.Otherwise != ""} {
			if way {
				ways++
			}
		}
		switch {
		case ways != 1:
			t.Errorf("%s must be required or have a default or say what happens otherwise, and has %d of these", k.Path, ways)
		case !strings.HasSuffix(k.Meaning, "."):
			t.Errorf("%s: the meaning %q is not a sentence", k.Path, k.Meaning)
		case k.Since == "":
			t.Errorf("%s has no version", k.Path)
		case !strings.HasPrefix(k.Example, name+" = "):
			t.Errorf("%s: the example %q is of another key", k.Path, k.Example)
		}
	}
}

// companions are what a key's example cannot stand without.
var companions = map[string]string{
	"auth.account_source":      "account_map = \"/etc/map\"\n",
	"auth.account_provider":    "account_source = \"extern_uid\"\n",
	"auth.account_map":         "account_source = \"map\"\n",
	"auth.logging.network":     "[auth.logging]\naddress = \"10.0.0.1:514\"\n",
	"container.rule.modules":   "[[container.module]]\nname = \"gpu\"\n",
	"auth.logging.address":     "[auth.logging]\nnetwork = \"udp\"\n",
	"auth.seccomp.block_all":   "no_new_privs = true\n[auth.seccomp]\nallow_calls = " + enough + "\n",
	"auth.seccomp.block_calls": "no_new_privs = true\n[auth.seccomp]\n",
	"auth.seccomp.allow_calls": "no_new_privs = true\n[auth.seccomp]\nblock_calls = [\"connect\"]\n",
	"auth.runas.user_variable": runasScript, "auth.runas.sha256": runasScript, "auth.runas.validation_env": runasScript, "auth.runas.federated": runasScript,
}

// entries are the required keys of an entry of an array of tables.
var entries = map[string]string{"batch.rule": "args = [\"-x\"]\n", "container.module": "name = \"x\"\n"}

const runasScript = "[auth.runas]\nvalidation_script = \"/x\"\n"

// with writes a valid configuration in which the key has the given line.
func with(k Key, line string) string {
	table, name := split(k.Path)
	header := "[" + table + "]\n"
	if IsArray(table) {
		header = "[[" + table + "]]\n"
	}
	header += entries[table]
	doc := minimal + companions[k.Path]
	if k.Path == "auth.root_dir_creation" {
		doc = strings.Replace(doc, `data_dir = "$HOME"`, `data_dir = "/data"`, 1)
	}
	for _, same := range []string{name, strings.Split(header, "\n")[1]} {
		doc = dropKey(doc, table, same)
	}
	if strings.HasPrefix(entries[table], name+" = ") {
		header = "[[" + table + "]]\n"
	}
	if before, after, ok := strings.Cut(doc, header); ok && !IsArray(table) {
		return before + header + line + "\n" + after
	}
	return doc + header + line + "\n"
}

// dropKey removes the line that sets the key in the table.
func dropKey(doc, table, key string) string {
	var kept []string
	in := ""
	for line := range strings.Lines(doc) {
		if strings.HasPrefix(line, "[") {
			in = strings.Trim(line, "[]\n")
		}
		if in != table || !strings.HasPrefix(line, key+" = ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestEveryExampleIsAccepted(t *testing.T) {
	plainConfig, err := parse(minimal)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Reference() {
		c, err := parse(with(k, k.Example))
		if err != nil {
			t.Errorf("%s: %v in\n%s", k.Path, err, with(k, k.Example))
			continue
		}
		before, after := plainConfig, c
		before.Warnings, after.Warnings = nil, nil
		if before.General.GitLabServer.String() == after.General.GitLabServer.String() {
			after.General.GitLabServer = before.General.GitLabServer
		}
		if reflect.DeepEqual(before, after) && !k.Required && k.Path != "general.jwt_issuer" {
			t.Errorf("%s: the example changes nothing", k.Path)
		}
	}
}

// TestEveryKeyRefusesAFloat: no key is a float, so one shows for every key that
// its type is checked, and that its fault has its name and its line.
func TestEveryKeyRefusesAFloat(t *testing.T) {
	for _, k := range Reference() {
		_, name := split(k.Path)
		doc := with(k, name+" = 12.5")
		_, err := parse(doc)
		key := strings.NewReplacer(".rule.", ".rule[1].", ".module.", ".module[1].").Replace(k.Path)
		line := 1 + strings.Count(doc[:strings.Index(doc, name+" = 12.5")], "\n")
		if want := fmt.Sprintf("line %d: %s: is a float, want ", line, key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDefaultsAreThoseOfTheTable(t *testing.T) {
	c, err := parse(minimal)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Reference() {
		if table, _ := split(k.Path); k.Default == nil || IsArray(table) {
			continue
		}
		want := reflect.New(fieldAt(reflect.ValueOf(&c).Elem(), k.Path).Type()).Elem()
		if err := set(want, k.Default); err != nil {
			t.Errorf("%s: %v", k.Path, err)
		}
		if got := fieldAt(reflect.ValueOf(&c).Elem(), k.Path); !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s: %v, want %v", k.Path, got, want)
		}
	}
}

func fieldAt(v reflect.Value, path string) reflect.Value {
	for name, field := range fields(v) {
		if name == path {
			return field
		}
		if rest, below := strings.CutPrefix(path, name+"."); below {
			return fieldAt(field, rest)
		}
	}
	return reflect.Value{}
}

func TestChecksCompareKeys(t *testing.T) {
	for _, c := range slices.Concat(checks, warnings) {
		for _, key := range c.compares {
			if _, ok := keysByPath()[key]; !ok {
				t.Errorf("a check compares %s, which is no key", key)
			}
		}
	}
}

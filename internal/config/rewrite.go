package config

import (
	"fmt"
	"reflect"
	"strings"
)

// rewritten is the text to write for a value of the wrong type, where the intended value is
// certain; "" otherwise.
func rewritten(to reflect.Value, value any, path string) string {
	text, isText := value.(string)
	_, name := split(path)
	switch {
	case strings.Contains(path, "["):
		return ""
	case isText && to.Kind() == reflect.Slice:
		return name + " = " + listOf(text)
	case isText && isBool(to):
		if word := truth(text); word != "" {
			return name + " = " + word
		}
	}
	return ""
}

func isBool(v reflect.Value) bool {
	return v.Kind() == reflect.Bool || v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Bool
}

// truth is the TOML boolean that a word means in other formats, "" for none.
func truth(word string) string {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "true", "yes", "on", "1":
		return "true"
	case "false", "no", "off", "0":
		return "false"
	}
	return ""
}

// listOf writes a list of the parts between commas.
func listOf(text string) string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, fmt.Sprintf("%q", part))
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// splitEntry is the text for an entry of a list that has several names in it, "" for one
// that has not.
func splitEntry(value any) string {
	text, ok := value.(string)
	if !ok || !strings.Contains(text, ",") {
		return ""
	}
	list := listOf(text)
	return fmt.Sprintf("%s, one entry for each, instead of %q", strings.Trim(list, "[]"), text)
}

// bareWord is the text for a line whose value is a boolean of another format, "" for
// another line.
func bareWord(line string) string {
	key, value, found := strings.Cut(line, "=")
	value, _, _ = strings.Cut(value, "#")
	word := truth(value)
	if !found || word == "" || strings.ContainsAny(value, `"'01`) {
		return ""
	}
	return strings.TrimSpace(key) + " = " + word
}

package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
)

// SettingsOptions are what the command line of config gives.
type SettingsOptions struct {
	Configuration string
	// Effective prints the defaults as well.
	Effective bool
	JSON      bool
}

// The exit statuses of Settings.
const settingsUnusable = 2

// Settings prints the keys of the configuration with their values, and where each comes
// from.
func Settings(o SettingsOptions) int {
	i, err := open(o.Configuration, &o.Configuration)
	var all []config.Setting
	if err == nil {
		all, err = effective(i)
	}
	if err == nil {
		err = printSettings(os.Stdout, all, i.File(), o)
	}
	if err != nil {
		return fail(err, settingsUnusable)
	}
	return 0
}

// effective are the settings of a configuration that can be used.
func effective(i auth.Installation) ([]config.Setting, error) {
	if err := i.Load(); err != nil {
		return nil, err
	}
	return config.Effective(i.File())
}

func printSettings(w io.Writer, all []config.Setting, file job.AbsPath, o SettingsOptions) error {
	if !o.Effective {
		all = slices.DeleteFunc(all, func(s config.Setting) bool { return s.From != config.FromFile })
	}
	if o.JSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	_, err := io.WriteString(w, settingsText(all, file))
	return err
}

// settingsText is TOML that has the same effect as the configuration, with the source of
// each value as a comment.
func settingsText(all []config.Setting, file job.AbsPath) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\n", file)
	table := ""
	for _, s := range all {
		i := strings.LastIndexByte(s.Key, '.')
		if s.Key[:i] != table {
			table = s.Key[:i]
			fmt.Fprintf(&out, "\n%s\n", tableHeader(table))
		}
		name := s.Key[i+1:]
		switch s.From {
		case config.Unset:
			fmt.Fprintf(&out, "# %s: %s\n", name, s.Otherwise)
		case config.FromFile:
			fmt.Fprintf(&out, "%s = %s  # line %d%s\n", name, s.Value, s.Line, writtenAs(s))
		case config.FromDefault, config.FromServer:
			fmt.Fprintf(&out, "%s = %s  # %s\n", name, s.Value, s.From)
		}
	}
	return out.String()
}

// writtenAs names the key of the file where that is an old name.
func writtenAs(s config.Setting) string {
	if s.Name == "" {
		return ""
	}
	return ", as " + s.Name
}

// tableHeader begins a table; an entry of an array of tables begins one each.
func tableHeader(table string) string {
	if name, _, entry := strings.Cut(table, "["); entry {
		return "[[" + name + "]]"
	}
	return "[" + table + "]"
}

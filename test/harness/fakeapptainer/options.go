package main

import "strings"

type unknownOption struct{ word string }

// Error implements error.
func (u unknownOption) Error() string { return "unknown flag or command: " + u.word }

// The options that are known, with the ones of one letter.
var (
	flags = map[string]bool{
		"--compat": true, "--no-eval": true, "--cleanenv": true, "--nv": true, "--rocm": true,
	}
	values = map[string]string{
		"--workdir": "", "--home": "", "--bind": "", "-B": "--bind", "--pwd": "", "--env": "", "--mksquashfs-args": "", "--arch": "",
	}
)

// options are the options of a command by their long names, in order.
type options map[string][]string

func (o options) last(name string) string {
	if all := o[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// parse splits the options from the rest.
func parse(args []string) (options, []string, error) {
	o := options{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, given := strings.Cut(args[0], "=")
		args = args[1:]
		long, valued := values[name]
		switch {
		case flags[name] && !given:
			o[name] = append(o[name], "true")
			continue
		case !valued, !given && len(args) == 0:
			return nil, nil, unknownOption{name}
		case !given:
			value, args = args[0], args[1:]
		}
		if long == "" {
			long = name
		}
		o[long] = append(o[long], value)
	}
	return o, args, nil
}

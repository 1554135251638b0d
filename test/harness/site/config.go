package site

import (
	"bytes"
	"os"

	"github.com/BurntSushi/toml"
)

// Config is the driver's configuration: table, then key. A nested table such as
// [auth.runas] is a Table among its parent's keys.
type Config map[string]Table

// Table is one table of the configuration.
type Table map[string]any

// Set sets a key, or removes it when value is nil.
func (c Config) Set(table, key string, value any) {
	if c[table] == nil {
		c[table] = Table{}
	}
	if value == nil {
		delete(c[table], key)
		return
	}
	c[table][key] = value
}

// config is a configuration under which a job of the site's user succeeds.
func (s *Site) config() Config {
	c := Config{
		"general": {
			"executor": "shell", "data_dir": s.dataDir(), "gitlab_server": s.GitLab.URL, "tls-ca-file": s.GitLab.CAFile,
			"jwt_env_variable": TokenVariable, "state_dir": s.StateDir, "kill_timeout": "5s",
		},
		"auth": {"downscope": s.downscope(), "jacamar_path": s.Jacamar},
	}
	if os.Geteuid() == 0 {
		c.Set("auth", "helper_account", s.Accounts.Helper)
	}
	return c
}

// Slurm makes a site submit its jobs to the cluster of that slurm.conf, with the
// commands in bin, or the system's own when it is "".
func Slurm(conf, bin string) func(Config) {
	return func(c Config) {
		c.Set("general", "executor", "slurm")
		c.Set("general", "kill_timeout", "90s")
		c.Set("batch", "env_vars", []string{"SLURM_CONF=" + conf})
		c.Set("batch", "cancel_grace", "3s")
		if bin != "" {
			c.Set("batch", "scheduler_bin", bin)
		}
	}
}

func (c Config) write(path string) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(c); err != nil {
		return err
	}
	// Replaced, not rewritten: a driver of another test reads a whole file.
	if err := os.WriteFile(path+".new", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

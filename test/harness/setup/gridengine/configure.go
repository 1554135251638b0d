package gridengine

import (
	"fmt"
	"os"
	"regexp"
)

// configure makes this host one that submits and runs jobs, with one queue, and a
// scheduler that runs every second.
func (c *Cluster) configure() error {
	for _, argv := range [][]string{{"qconf", "-as", host}} {
		if err := c.admin(argv...); err != nil {
			return err
		}
	}
	if err := c.load("-Ahgrp", "group_name @allhosts\nhostlist "+host+"\n"); err != nil {
		return err
	}
	for _, change := range []struct {
		show []string
		load string
		keys map[string]string
	}{
		{[]string{"-sconf", "global"}, "-Mconf", map[string]string{
			"execd_spool_dir": c.path("spool/execd"), "mailer": "/bin/true",
			// By default records are written every 15 s.
			"reporting_params": "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00",
		}},
		{[]string{"-ssconf"}, "-Msconf", map[string]string{"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}},
		{[]string{"-sq"}, "-Aq", map[string]string{
			"qname": "main.q", "hostlist": "@allhosts", "slots": "64", "pe_list": "NONE", "load_thresholds": "NONE",
		}},
	} {
		text, err := c.adminOutput(append([]string{"qconf"}, change.show...)...)
		if err != nil {
			return err
		}
		for key, value := range change.keys {
			text = regexp.MustCompile(`(?m)^`+key+` .*$`).ReplaceAllString(text, key+" "+value)
		}
		if err := c.load(change.load, text); err != nil {
			return err
		}
	}
	return nil
}

// load gives qconf a file; its name is the object's for configurations.
func (c *Cluster) load(option, text string) error {
	file := c.path("global")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if err := c.admin("qconf", option, file); err != nil {
		return fmt.Errorf("qconf %s: %w", option, err)
	}
	return nil
}

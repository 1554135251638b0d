package main

import (
	"testing"

	"jacamar-ci/test/repo/cmdline"
)

func TestMain(m *testing.M) { cmdline.Main(m) }

func TestCommandLine(t *testing.T) { cmdline.Run(t, "jacamar") }

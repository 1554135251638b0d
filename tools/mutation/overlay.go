package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// killedBy runs tests with the mutant instead of the file. A test that hangs has
// detected the mutant as well, with a note: on a busy machine it may only have been slow.
func (m mutant) killedBy(limit time.Duration, tests ...string) (bool, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir, map[string]string{filepath.Join(m.pkg, m.file): m.source})
	if err != nil {
		return false, err
	}
	out, err := goTest(overlay, limit, tests...)
	if strings.Contains(string(out), "[build failed]") {
		return false, fmt.Errorf("%s does not compile:\n%s", m, out)
	}
	if strings.Contains(string(out), "test timed out") {
		fmt.Println("detected by a timeout:", m)
	}
	return err != nil, nil
}

// writeOverlay writes the texts that replace files, and the list of them for the go
// command's -overlay.
func writeOverlay(dir string, texts map[string]string) (string, error) {
	replace := map[string]string{}
	for i, file := range slices.Sorted(maps.Keys(texts)) {
		original, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		replace[original] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[original], []byte(texts[file]), 0o644); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o644)
}

// goTest runs tests until the first failure. The overlay goes by GOFLAGS, so that
// the programs which a suite builds have it as well.
func goTest(overlay string, limit time.Duration, tests ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+time.Minute)
	defer cancel()
	args := append([]string{"test", "-count=1", "-short", "-vet=off", "-failfast", "-timeout=" + limit.String()}, tests...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = overlaid(overlay)
	return cmd.CombinedOutput()
}

// overlaid returns an environment in which the go command has the overlay.
func overlaid(overlay string) []string {
	return append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
}

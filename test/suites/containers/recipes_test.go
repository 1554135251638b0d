package containers

import (
	"os"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// recipe is a job of docs/containers.md, as far as the tests read it.
type recipe struct {
	image, user string
	services    []fakerunner.Service
	entrypoint  []string
	variables   [][2]string
	script      []string
}

// readRecipe reads the job behind the comment with the name.
func readRecipe(t *testing.T, name string) (r recipe) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/containers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "<!-- recipe: "+name+" -->\n```yaml\n")
	if !found {
		t.Fatalf("docs/containers.md has no recipe %q", name)
	}
	text, _, _ = strings.Cut(text, "```")
	section := ""
	for line := range strings.Lines(text) {
		word := strings.TrimSpace(line)
		key, value, _ := strings.Cut(word, ": ")
		value = strings.Trim(value, `"`)
		switch {
		case strings.HasSuffix(word, ":") && !strings.HasPrefix(word, "- "):
			section = strings.TrimSuffix(word, ":")
		case key == "- name":
			r.services = append(r.services, fakerunner.Service{Name: value})
		case key == "alias":
			r.services[len(r.services)-1].Alias = value
		case key == "image", key == "name":
			r.image = value
		case key == "user":
			r.user = value
		case key == "entrypoint":
			r.entrypoint = []string{strings.Trim(value, `["]`)}
		case section == "variables":
			r.variables = append(r.variables, [2]string{key, value})
		case section == "script":
			r.script = append(r.script, strings.TrimPrefix(word, "- "))
		}
	}
	return r
}

// The recipes of the documentation that need nothing of a site run as they are written,
// with the images of the tests.
func TestRecipes(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for name, want := range map[string]string{
			"service": "web-service", "entrypoint": "entrypoint left out", "dash": "it's dash", "user": "\n1000\n", "cache": "\none\n",
		} {
			t.Run(name, func(t *testing.T) {
				recipe := readRecipe(t, name)
				image := strings.TrimPrefix(recipe.image, "registry.example.com/")
				switch image {
				case "busybox":
					image = "bb:1"
				case "bash:1":
					image = "group/project/bash:1"
				}
				j := r.job(image, recipe.script...)
				for _, s := range recipe.services {
					j.Services = append(j.Services, r.service(strings.TrimPrefix(s.Name, "registry.example.com/"), s.Alias))
				}
				j.Bare, j.ImageEntrypoint, j.ImageUser = true, recipe.entrypoint, recipe.user
				for _, v := range recipe.variables {
					j = site.WithVariable(j, v[0], v[1])
				}
				site.Want(t, r.run(t, j), fakerunner.Success, 0, want)
			})
		}
	})
}

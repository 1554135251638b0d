package gitlab

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// lfsObject is one object of Git LFS's batch API.
type lfsObject struct {
	OID     string               `json:"oid"`
	Size    int64                `json:"size"`
	Actions map[string]lfsAction `json:"actions,omitempty"`
}

type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// largeFile is the part of a path behind a repository's own that has its objects.
const largeFile = "/info/lfs/objects/"

// lfs serves downloads of large files: the batch API, which returns addresses, and
// the objects at these.
func (s *Server) lfs(w http.ResponseWriter, r *http.Request, repository, rest string) {
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	if rest != "batch" {
		http.ServeFile(w, r, lfsPath(s.repository(repository), filepath.Base(rest)))
		return
	}
	var body struct {
		Objects []lfsObject `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for i, o := range body.Objects {
		body.Objects[i].Actions = map[string]lfsAction{"download": {
			Href:   s.URL + "/" + repository + ".git" + largeFile + o.OID,
			Header: map[string]string{"Authorization": r.Header.Get("Authorization")},
		}}
	}
	_ = json.NewEncoder(w).Encode(body)
}

// lfsPath is the path of an object in a repository.
func lfsPath(dir, oid string) string {
	if len(oid) < 4 {
		return filepath.Join(dir, "lfs", "none")
	}
	return filepath.Join(dir, "lfs", "objects", oid[:2], oid[2:4], oid)
}

// AddLargeFile serves the content of a large file of the repository. The
// repository itself has a pointer to it (git-lfs-pointer(5)).
func (r *Repository) AddLargeFile(oid string, content []byte) error {
	path := lfsPath(r.server.repository(r.Path), oid)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// splitLFS splits the path of a request for large files.
func splitLFS(path string) (repository, rest string, ok bool) {
	repository, rest, ok = strings.Cut(path, ".git"+largeFile)
	return strings.TrimPrefix(repository, "/"), rest, ok
}

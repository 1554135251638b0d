package gitlab

import (
	"io"
	"net/http"
)

// artifactLimit is the longest archive that is accepted, in bytes.
const artifactLimit = 256 << 20

// upload stores the archive of a job's artifacts.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	if !s.admitted(r.Header.Get("JOB-TOKEN")) {
		http.Error(w, "403 Forbidden", http.StatusForbidden)
		return
	}
	file, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, artifactLimit))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.artifacts[r.PathValue("id")] = body
	s.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	if !s.admitted(r.Header.Get("JOB-TOKEN")) {
		http.Error(w, "403 Forbidden", http.StatusForbidden)
		return
	}
	body := s.archive(r.PathValue("id"))
	if body == nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(body)
}

func (s *Server) archive(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.artifacts[id]
}

// Artifacts returns the zip archive that a job has uploaded, nil for none.
func (s *Server) Artifacts(job int64) []byte { return s.archive(text(job)) }

package idtoken

import (
	"context"
	"testing"

	"jacamar-ci/internal/job"
)

// BenchmarkStage is what a stage with kept keys pays: one file read, one
// signature, no network.
func BenchmarkStage(b *testing.B) {
	s := newSite(b)
	token := job.NewSecret(soundToken(b))
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		tok, err := Parse(token)
		if err != nil {
			b.Fatal(err)
		}
		set, err := s.keys().Get(context.Background(), tok.KeyID(), issued)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tok.Verify(set, soundRules(), soundExpected(), issued); err != nil {
			b.Fatal(err)
		}
	}
	s.wantAsked(1)
}

func BenchmarkParse(b *testing.B) {
	token := job.NewSecret(soundToken(b))
	for b.Loop() {
		if _, err := Parse(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	keys := soundKeys(b)
	tok, err := Parse(job.NewSecret(soundToken(b)))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := tok.Verify(keys, soundRules(), soundExpected(), issued); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKeptKeys(b *testing.B) {
	s := newSite(b)
	for b.Loop() {
		if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
			b.Fatal(err)
		}
	}
	s.wantAsked(1)
}

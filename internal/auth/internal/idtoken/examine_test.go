package idtoken

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// TestOrderIsComplete compares with the constants of rules.go.
func TestOrderIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "rules.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ident, named := (&ast.Ident{}), false; ok {
			if ident, named = spec.Type.(*ast.Ident); named && ident.Name == "Rule" {
				value := spec.Values[0].(*ast.BasicLit).Value
				declared = append(declared, value[1:len(value)-1])
			}
		}
		return true
	})
	var ordered []string
	for _, r := range AllRules() {
		ordered = append(ordered, string(r))
	}
	if len(declared) == 0 || !slices.Equal(declared, ordered) {
		t.Errorf("declared %v\nordered  %v", declared, ordered)
	}
}

// TestExamineAgreesWithVerify: of sound claims both say the same, but for
// the times, which only verified claims have.
func TestExamineAgreesWithVerify(t *testing.T) {
	for name, expected := range map[string]claims.Expected{"for a job": soundExpected(), "for their own job": {}} {
		t.Run(name, func(t *testing.T) {
			got, err := Examine(marshal(t, soundClaims()), soundRules(), expected, issued)
			if err != nil {
				t.Fatal(err)
			}
			want := soundIdentity()
			want.Token.IssuedAt, want.Token.NotBefore, want.Token.Expires = time.Time{}, time.Time{}, time.Time{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExamineReadsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		payload  []byte
		expected claims.Expected
		want     Rule
		login    string
	}{
		"not an object":     {[]byte("[]"), claims.Expected{}, RuleClaims, ""},
		"twice":             {[]byte(`{"job_id":"1","job_id":"2"}`), claims.Expected{}, RuleClaims, ""},
		"issuer":            {marshal(t, soundClaims().with("iss", "https://other")), claims.Expected{}, RuleIssuer, "alice"},
		"audience":          {marshal(t, soundClaims().with("aud", "x")), claims.Expected{}, RuleAudience, "alice"},
		"expired":           {marshal(t, soundClaims().with("exp", issued.Unix()-3600).with("iat", issued.Unix()-7200)), claims.Expected{}, RuleExpired, "alice"},
		"login token":       {marshal(t, soundClaims().with("job_id", absent)), claims.Expected{}, RuleLogin, "alice"},
		"fork":              {marshal(t, fork()), claims.Expected{}, RuleFork, "alice"},
		"other job":         {marshal(t, soundClaims()), claims.Expected{JobID: 1, ProjectID: 20}, RuleJob, "alice"},
		"a claim is absent": {marshal(t, soundClaims().with("ref", absent)), claims.Expected{}, RuleClaims, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := Examine(tc.payload, soundRules(), tc.expected, issued)
			if rule, ok := RuleOf(err); !ok || rule != tc.want || id.User.Login != tc.login {
				t.Errorf("%v, login %q", err, id.User.Login)
			}
		})
	}
}

func TestUnverifiedClaims(t *testing.T) {
	payload := marshal(t, soundClaims())
	raw, err := Parse(job.NewSecret(signBytes(t, marshal(t, soundHeader()), payload, otherKey())))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw.UnverifiedClaims()) != string(payload) {
		t.Error("the payload differs")
	}
}

// TestPeekWritesNothing: an administrator asks, under any account.
func TestPeekWritesNothing(t *testing.T) {
	s := newSite(t)
	got, err := s.keys().Peek(ctx, ciID, issued)
	if err != nil || !got.Has(ciID) {
		t.Fatal(err)
	}
	if _, err := os.Lstat(s.stateDir.String()); err == nil {
		t.Error("Look made the state directory")
	}
	if _, err := s.keys().Peek(ctx, "made-up", issued); !hasRule(err, RuleKey) {
		t.Errorf("error %v", err)
	}
	s.wantAsked(2)
}

func TestPeekNeedsNoServer(t *testing.T) {
	s := primed(t)
	s.down()
	if _, err := s.keys().Peek(ctx, ciID, issued.Add(100*time.Hour)); err != nil {
		t.Error(err)
	}
	for name, look := range map[string]struct {
		kid   string
		after time.Duration
	}{"too old": {ciID, 169 * time.Hour}, "another key": {"other", 0}} {
		if _, err := s.keys().Peek(ctx, look.kid, issued.Add(look.after)); err == nil || hasRule(err, RuleKey) {
			t.Errorf("%s: error %v, want one that is no verdict", name, err)
		}
	}
}

func hasRule(err error, want Rule) bool {
	rule, ok := RuleOf(err)
	return ok && rule == want
}

package trial

import (
	"bytes"
	"fmt"

	"github.com/BurntSushi/toml"
)

// Configuration returns a site's configuration for a trial: with the private issuer, and
// a state directory of its own. Left out are what identifies the real issuer, the log and
// the journal, and the rules about projects, pipelines and runners, which say nothing
// about an account.
func Configuration(text, stateDir string) ([]byte, error) {
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	general, auth := table(doc, "general"), table(doc, "auth")
	for _, t := range []map[string]any{general, auth} {
		for _, key := range issuerKeys {
			delete(t, key)
		}
	}
	for _, key := range jobRules {
		delete(auth, key)
	}
	general["gitlab_server"], general["state_dir"] = issuer, stateDir
	auth["logging"] = map[string]any{"enabled": true}
	auth["journal"] = map[string]any{"enabled": false}
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(doc); err != nil {
		return nil, fmt.Errorf("cannot write the configuration of the trial: %w", err)
	}
	return out.Bytes(), nil
}

// issuerKeys are those that say where tokens and keys come from. The jwt_ keys may be in
// either table.
var issuerKeys = []string{
	"gitlab_server", "jwt_issuer", "jwt_required_aud", "jwks_url", "jwks_max_age", "jwks_stale_max", "https_proxy", "tls-ca-file", "tls_ca_file", "insecure_loopback_http", "state_dir",
}

// jobRules are the rules of [auth] about the job and not about its account.
var jobRules = []string{
	"runner_ids", "project_allowlist", "project_blocklist", "pipeline_source_allowlist", "protected_refs_only", "logging", "journal",
}

func table(doc map[string]any, name string) map[string]any {
	t, ok := doc[name].(map[string]any)
	if !ok {
		t = map[string]any{}
		doc[name] = t
	}
	return t
}

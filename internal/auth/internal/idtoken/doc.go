// Package idtoken verifies GitLab's id_tokens and binds them to one job.
//
// A token is believed in this order: its form (Parse), its signature under a
// key that the configured server published (Keys), and then each claim against
// the site's rules and against what GitLab told the runner of the job (Verify).
// No claim is looked at before the signature holds. Every refusal is a
// failure.Denied that names its Rule, and none repeats the token.
//
// The facts about GitLab's tokens are those of
// https://docs.gitlab.com/ci/secrets/id_token_authentication/ and of GitLab's
// lib/gitlab/ci/jwt_v2.rb; the format is RFC 7515, 7517, 7519 and 8725.
package idtoken

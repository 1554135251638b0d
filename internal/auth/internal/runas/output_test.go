package runas

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

func TestParseOutput(t *testing.T) {
	for _, c := range []struct{ name, text, username, dataDir, message string }{
		{"nothing", "", "", "", ""},
		{"white space", " \n\t\r\n", "", "", ""},
		{"empty object", "{}", "", "", ""},
		{"all", ` { "user_message" : "m", "data_dir":"/d//e/", "username":"u" } ` + "\n", "u", "/d/e", "m"},
		{"escaped name and value", `{"user\u006eame":"\u0062ob"}`, "bob", "", ""},
		{"empty message", `{"user_message":""}`, "", "", ""},
		{"message on several lines", `{"user_message":" a\n\tb  c\u0000 \u2028"}`, "", "", "a b c?"},
		{"long message", `{"user_message":"` + strings.Repeat("é", 1000) + `"}`, "", "", strings.Repeat("é", 512) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseOutput([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if r.username.String() != c.username || r.dataDir.String() != c.dataDir || r.message != c.message {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestParseOutputRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"text", "ok", "its output is not JSON"},
		{"cut off", `{"username":"bob"`, "its output is not JSON"},
		{"two objects", `{"username":"bob"}{"username":"root"}`, "its output is not JSON"},
		{"trailing text", `{"username":"bob"} done`, "its output is not JSON"},
		{"trailing comma", `{"username":"bob",}`, "its output is not JSON"},
		{"comment", `{"username":"bob"} // ok`, "its output is not JSON"},
		{"byte order mark", "\ufeff{}", "its output is not JSON"},
		{"NUL behind", "{}\x00", "its output is not JSON"},
		{"not UTF-8", "{\"username\":\"b\xff\"}", "its output is not JSON"},
		{"deep", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "its output is not JSON"},
		{"string", `"bob"`, "its output is not a JSON object"},
		{"number", "1", "its output is not a JSON object"},
		{"null", "null", "its output is not a JSON object"},
		{"array", `[{"username":"bob"}]`, "its output is not a JSON object"},
		{"unknown member", `{"username":"bob","uid":"0"}`, `its output has "uid": unknown name`},
		{"another case", `{"Username":"bob"}`, `its output has "Username": unknown name`},
		{"no name", `{"":"bob"}`, `its output has "": unknown name`},
		{"member twice", `{"username":"bob","username":"bob"}`, `its output has "username" twice`},
		{"member twice, escaped", `{"username":"bob","user\u006eame":"root"}`, `its output has "username" twice`},
		{"member twice, empty", `{"user_message":"","user_message":"x"}`, `its output has "user_message" twice`},
		{"null value", `{"username":null}`, `its output has "username", which is not a string`},
		{"number value", `{"username":0}`, `its output has "username", which is not a string`},
		{"bool value", `{"username":true}`, `its output has "username", which is not a string`},
		{"object value", `{"username":{"username":"bob"}}`, `its output has "username", which is not a string`},
		{"array value", `{"username":["bob"]}`, `its output has "username", which is not a string`},
		{"empty username", `{"username":""}`, `its output has "username": the account name is empty`},
		{"number as username", `{"username":"0"}`, `its output has "username": the account name "0" is a number`},
		{"option as username", `{"username":"-u"}`, `its output has "username": the account name "-u" has a character that account names do not have`},
		{"path as username", `{"username":"a/../b"}`, `its output has "username": the account name "a/../b" has a character that account names do not have`},
		{"NUL in username", `{"username":"root\u0000"}`, `its output has "username": the account name "root\x00" has a character that account names do not have`},
		{"lone surrogate in username", `{"username":"a\ud800"}`, `its output has "username": the account name "a�" has a character that account names do not have`},
		{"relative data_dir", `{"data_dir":"scratch"}`, `its output has "data_dir": the path "scratch" is not absolute`},
		{"empty data_dir", `{"data_dir":""}`, `its output has "data_dir": the path is empty`},
		{"climbing data_dir", `{"data_dir":"/a/../b"}`, `its output has "data_dir": the path "/a/../b" has a ".." in it`},
		{"control character in data_dir", `{"data_dir":"/a\nb"}`, `its output has "data_dir": the path "/a\nb" has control characters`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseOutput([]byte(c.text))
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
			if r != (output{}) {
				t.Errorf("an error came with %+v", r)
			}
		})
	}
}

// FuzzParseOutput checks the parser: an accepted output is one object that
// encoding/json reads in the same way, with checked values.
func FuzzParseOutput(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}", `{"username":"bob"}`, `{"username":"bob","data_dir":"/scratch","user_message":"hello\u001b"}`,
		`{"username":"a/../b"}`, `{"username":"bob","username":"root"}`, `{"user\u006eame":"bob"}`, `{"Username":"bob"}`,
		`{"username":"bob"} x`, `{"username":{"username":"bob"}}`, "{\"user_message\":\"\xff\"}", `[]`, `null`, `{"":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseOutput(b)
		if err != nil {
			if r != (output{}) {
				t.Errorf("an error came with %+v", r)
			}
			return
		}
		if len(bytes.TrimSpace(b)) == 0 {
			if r != (output{}) {
				t.Errorf("nothing gave %+v", r)
			}
			return
		}
		var want map[string]string
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		if r.username.String() != want["username"] {
			t.Errorf("username %q, want %q", r.username, want["username"])
		}
		if name := r.username.String(); name != "" {
			if _, err := job.ParseUsername(name); err != nil {
				t.Error(err)
			}
		}
		if p := r.dataDir.String(); p != "" {
			if _, err := job.ParseAbsPath(p); err != nil {
				t.Error(err)
			}
		}
		if m := r.message; job.Printable(m) != m || len(m) > messageLimit+len("…") || !utf8.ValidString(m) {
			t.Errorf("message %q", m)
		}
		for key := range want {
			if key != "username" && key != "data_dir" && key != "user_message" {
				t.Errorf("accepted with the member %q", key)
			}
		}
	})
}

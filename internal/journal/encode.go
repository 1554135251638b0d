package journal

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"jacamar-ci/internal/proctree"
)

// encode returns the event as encoding/json does. That would first examine all fields
// that an event can have, which takes longer than the rest of the journal in a stage.
func (e Event) encode() ([]byte, error) {
	c := &e.Context
	var context object
	context.number("job", int64(c.Job))
	context.number("pipeline", int64(c.Pipeline))
	context.text("project", c.Project)
	context.number("project_id", int64(c.ProjectID))
	context.text("ref", c.Ref)
	context.text("login", c.Login)
	context.text("account", c.Account)
	if c.UID != nil {
		context.member("uid", strconv.FormatUint(uint64(*c.UID), 10))
	}
	context.text("host", c.Host)
	context.text("executor", c.Executor)
	context.text("trace", c.Trace)
	context.text("span", c.Span)
	context.text("runner", c.Runner)
	context.number("timeout", int64(c.Timeout))
	context.text("rule", c.Rule)
	context.text("reason", c.Reason)
	context.process("owner", c.Owner)
	context.number("until", c.Until)
	context.text("base", c.Base)
	context.text("builds", c.Builds)
	context.text("scripts", c.Scripts)
	context.text("stage", c.Stage)
	context.process("process", c.Process)
	context.text("exit", c.Exit)
	context.number("code", int64(c.Code))
	context.decimal("seconds", c.Seconds)
	context.decimal("cpu", c.CPU)
	context.number("peak", c.Peak)
	context.text("system", c.System)
	context.text("batch_id", c.BatchID)
	context.text("phase", c.Phase)
	context.text("node", c.Node)
	context.number("bytes", c.Bytes)
	context.number("files", c.Files)
	if c.Partial {
		context.member("partial", "true")
	}
	var event object
	event.member("timestamp", decimal(e.Time))
	event.member("name", quote(string(e.Name)))
	event.member("context", context.String())
	for _, f := range []float64{e.Time, c.Seconds, c.CPU} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%v is not a number in JSON", f)
		}
	}
	return []byte(event.String()), nil
}

// object is a JSON object. Its methods leave out zero values, but for member.
type object struct{ members []byte }

// String returns the object's text.
func (o *object) String() string { return "{" + string(o.members) + "}" }

func (o *object) member(name, value string) {
	if len(o.members) > 0 {
		o.members = append(o.members, ',')
	}
	o.members = append(append(append(append(o.members, '"'), name...), `":`...), value...)
}

func (o *object) text(name, value string) {
	if value != "" {
		o.member(name, quote(value))
	}
}

func (o *object) number(name string, value int64) {
	if value != 0 {
		o.member(name, strconv.FormatInt(value, 10))
	}
}

func (o *object) decimal(name string, value float64) {
	if value != 0 {
		o.member(name, decimal(value))
	}
}

func (o *object) process(name string, p *proctree.Process) {
	if p != nil {
		o.member(name, `{"pid":`+strconv.Itoa(p.PID)+`,"start":`+strconv.FormatUint(p.Start, 10)+`,"boot":`+quote(p.Boot)+`}`)
	}
}

func decimal(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// quote returns a JSON string. Most texts are ASCII without quotes, and need no escapes.
func quote(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return `"` + text + `"`
	}
	escaped, _ := json.Marshal(text) // a string always has a form
	return string(escaped)
}

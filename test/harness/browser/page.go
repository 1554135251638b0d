package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Page is one tab.
type Page struct {
	t       *testing.T
	b       *Browser
	session string
	// Requests are the addresses that the page has asked for since Open was called.
	Requests []string
}

// View is how a page is looked at.
type View struct {
	Width, Height int // in pixels of CSS
	Dark          bool
}

// Open returns a new tab with that view, of a profile of its own: what a page stores is
// not there for the next one.
func (b *Browser) Open(t *testing.T, v View) *Page {
	t.Helper()
	p := &Page{t: t, b: b}
	var profile struct{ BrowserContextID string }
	p.into(&profile, "", "Target.createBrowserContext", nil)
	var target struct{ TargetID string }
	p.into(&target, "", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": profile.BrowserContextID})
	var attached struct{ SessionID string }
	p.into(&attached, "", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true})
	p.session = attached.SessionID
	t.Cleanup(func() { _, _ = b.call("", "Target.closeTarget", map[string]any{"targetId": target.TargetID}) })
	for _, domain := range []string{"Page.enable", "Network.enable", "Runtime.enable"} {
		p.call(domain, nil)
	}
	p.Look(v)
	return p
}

// Look changes the view.
func (p *Page) Look(v View) {
	p.t.Helper()
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": v.Width < 600})
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}})
}

// Load loads an address and returns when everything of it has arrived.
func (p *Page) Load(url string) {
	p.t.Helper()
	for len(p.b.events) > 0 {
		<-p.b.events // those of the page before
	}
	var navigated struct{ ErrorText string }
	p.into(&navigated, p.session, "Page.navigate", map[string]any{"url": url})
	if navigated.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, navigated.ErrorText)
	}
	limit := time.After(answerLimit)
	for {
		select {
		case e := <-p.b.events:
			if e.SessionID != p.session {
				continue
			}
			p.note(e)
			if e.Method == "Page.loadEventFired" {
				return
			}
		case <-limit:
			p.t.Fatalf("%s has not loaded for %v", url, answerLimit)
		}
	}
}

// note keeps the address of a request.
func (p *Page) note(e event) {
	var sent struct{ Request struct{ URL string } }
	if e.Method == "Network.requestWillBeSent" && json.Unmarshal(e.Params, &sent) == nil && !strings.HasPrefix(sent.Request.URL, "data:") {
		p.Requests = append(p.Requests, sent.Request.URL)
	}
}

// Settle notes the requests that were sent after the page had loaded.
func (p *Page) Settle() {
	for len(p.b.events) > 0 {
		if e := <-p.b.events; e.SessionID == p.session {
			p.note(e)
		}
	}
}

// Eval evaluates an expression of JavaScript, awaits a promise, and decodes its value.
func (p *Page) Eval(into any, expression string) {
	p.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.into(&out, p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true})
	if e := out.ExceptionDetails; e != nil {
		p.t.Fatalf("%s %s in %.200s", e.Text, e.Exception.Description, expression)
	}
	if into == nil || len(out.Result.Value) == 0 {
		return
	}
	if err := json.Unmarshal(out.Result.Value, into); err != nil {
		p.t.Fatalf("%v: %.200s", err, out.Result.Value)
	}
}

// Screenshot returns what the view shows, as PNG.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var shot struct{ Data string }
	p.into(&shot, p.session, "Page.captureScreenshot", map[string]any{"format": "png"})
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return png
}

func (p *Page) call(method string, params any) {
	p.t.Helper()
	p.into(nil, p.session, method, params)
}

func (p *Page) into(result any, session, method string, params any) {
	p.t.Helper()
	raw, err := p.b.call(session, method, params)
	if err == nil && result != nil {
		if err = json.Unmarshal(raw, result); err != nil {
			err = fmt.Errorf("%s: %w", method, err)
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

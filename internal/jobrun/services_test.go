package jobrun

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func service(t *testing.T, name string, aliases ...string) ipc.Service {
	t.Helper()
	s, err := image.ServiceWish{Wish: image.Wish{Name: name}, Alias: strings.Join(aliases, " ")}.Parse()
	testutil.Must(t, err)
	return ipc.Service{Service: s, Policies: []image.PullPolicy{image.IfNotPresent}}
}

func withService(t *testing.T, name, config string, env []string) func(*ipc.Request) {
	return func(r *ipc.Request) {
		if config != "" {
			imageNamed(t, *r, name, config)
		}
		one := service(t, "registry.example.org/"+name)
		one.Env = variables(t, env...)
		r.Settings.Container.Services = []ipc.Service{one}
	}
}

func variables(t *testing.T, pairs ...string) (all []job.Env) {
	t.Helper()
	for _, pair := range pairs {
		e, err := job.ParseEnv(pair)
		testutil.Must(t, err)
		all = append(all, e)
	}
	return all
}

// TestServicesOfAJob: the log has what a service does not get, and which is not waited for.
func TestServicesOfAJob(t *testing.T) {
	for _, tt := range []struct {
		config  string
		wait    time.Duration
		network settings.ServicesNetwork
		env     []string
		want    []string
	}{
		{`{"Cmd":["serve"]}`, time.Second, settings.ServicesPrivate, nil, []string{"exposes no port", "network of their own"}},
		{`{"Cmd":["serve"]}`, 0, settings.ServicesPrivate, nil, []string{"network of their own"}},
		{`{"Cmd":["serve"],"ExposedPorts":{"1/tcp":{}}}`, time.Second, settings.ServicesHost, nil, nil},
		{`{"Cmd":["serve"],"ExposedPorts":{"1/tcp":{}}}`, 0, settings.ServicesHost, []string{"LD_PRELOAD=x"}, []string{"does not get the variables LD_PRELOAD"}},
	} {
		r, e := prepared(t, withService(t, "db", tt.config, tt.env), func(r *ipc.Request) {
			r.Settings.Container.ServicesWait, r.Settings.Container.ServicesNetwork = tt.wait, tt.network
		})
		var got []string
		for _, line := range []string{"exposes no port", "does not get the variables LD_PRELOAD", "network of their own"} {
			if strings.Contains(e.log, line) {
				got = append(got, line)
			}
		}
		s, _ := settledOf(t, r, container.SettledFile)
		if !slices.Equal(got, tt.want) || s.Services == nil || s.Services.Private != (tt.network == settings.ServicesPrivate) {
			t.Errorf("%+v: %q, %+v", tt, got, s.Services)
		}
	}
}

// TestUnusedServices: a job reads why its services are not started.
func TestUnusedServices(t *testing.T) {
	one := []ipc.Service{{}}
	for _, tt := range []struct {
		services bool
		c        *ipc.Container
		want     string
	}{
		{false, nil, ""},
		{true, nil, "on this resource"},
		{true, &ipc.Container{Services: one}, ""},
		{true, &ipc.Container{Container: settings.Container{ServicesNetwork: settings.ServicesPrivate}}, "without image:"},
		{true, &ipc.Container{Container: settings.Container{ServicesNetwork: settings.ServicesOff}}, "on this resource"},
		{true, &ipc.Container{Image: &image.Request{}, Container: settings.Container{ServicesNetwork: settings.ServicesOff}}, "on this resource"},
		{true, &ipc.Container{Image: &image.Request{}, Container: settings.Container{ServicesNetwork: settings.ServicesPrivate}}, "on this resource"},
	} {
		got := unusedServices(ipc.Request{Job: ipc.Job{Services: tt.services}, Settings: ipc.Settings{Container: tt.c}})
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			text, _ := json.Marshal(tt.c)
			t.Errorf("%v %s: %q, want %q", tt.services, text, got, tt.want)
		}
	}
}

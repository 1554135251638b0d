package imagestore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/process"
)

// fetching is one fetch of an image.
type fetching struct {
	Store
	key     string
	request image.Request
	session container.Session
	login   image.Credential
	source  string // of the login, "" for none
}

// fetch fetches an image, in the place of the known one if there is one.
func (s Store) fetch(ctx context.Context, k string, r image.Request, known Entry, found bool) (Entry, error) {
	begun := time.Now()
	state, err := NewState(s.Temp, job.UID(s.Account.UID))
	if err != nil {
		return Entry{}, err
	}
	defer state.Remove() //nolint:errcheck // the next sweep removes the rest
	f := fetching{Store: s, key: k, request: r, session: container.Session{State: state.Path(), Account: s.Account, Program: s.Program}}
	f.login, f.source, _ = image.Select(r.Reference, s.Logins)
	f.announce()
	stop := f.report(begun)
	defer stop()
	if found {
		if err := state.Link(container.Image, known.Place.Path); err != nil {
			return Entry{}, err
		}
		f.session.Linked = true
		if e, err := f.into(ctx); err != nil || e.Digest == known.Digest {
			return f.unchanged(known, begun, err)
		}
		f.session.Linked = false
	}
	e, err := f.into(ctx)
	if err != nil {
		return Entry{}, err
	}
	stop()
	s.Log.Note("Using %s (%s, %.0f s)%s", e.Pinned(), size(e.Size), time.Since(begun).Seconds(), f.version(ctx))
	return e, nil
}

// unchanged is the outcome of a comparison with the registry that found no other image.
func (f fetching) unchanged(known Entry, begun time.Time, err error) (Entry, error) {
	if err == nil {
		f.Log.Note("Using %s (%s, unchanged, %.1f s)", known.Pinned(), size(known.Size), time.Since(begun).Seconds())
	}
	return known, err
}

func (f fetching) announce() {
	if f.source == "" {
		f.Log.Note("pulling %s", f.request.Reference)
		return
	}
	f.Log.Note("pulling %s (login: %s)", f.request.Reference, f.source)
}

// reportEvery is how often the job's log has a line during a fetch.
const reportEvery = 30 * time.Second

// report writes lines until the function that it returns is called.
func (f fetching) report(begun time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f.Log.Note("still pulling (%v)", time.Since(begun).Round(time.Second))
			case <-ctx.Done():
				return
			}
		}
	}()
	return cancel
}

// into fetches the image to a new directory, and gives that its final name. In a session
// that is linked to a known image it only compares: the engine reads what it has from
// there, and the new directory, which would depend on the known one, is removed.
func (f fetching) into(ctx context.Context) (e Entry, err error) {
	name := f.key + "." + f.Job + newSuffix
	dir, err := f.Dir.Make(name)
	if err != nil {
		return e, err
	}
	dir.Close()
	defer f.Dir.Remove(name, time.Now().Add(removeTime)) //nolint:errcheck // the next fetch removes the rest
	to, err := f.place(f.Engine.Formats()[0], name)
	if err != nil {
		return e, err
	}
	if err := f.pull(ctx, to, dir.Path()); err != nil {
		return e, err
	}
	d, err := f.describe(ctx, to)
	if err != nil {
		return e, err
	}
	e = Entry{
		Reference: f.request.Reference, Platform: f.request.Platform, Digest: d.Digest, Size: d.Size,
		Place: container.Place{Form: to.Form, ID: d.ID}, Config: d.Config, Passwd: d.Passwd, Group: d.Group, Fetched: time.Now().UTC(),
	}
	if f.session.Linked {
		return e, nil
	}
	e.Size = cmp.Or(e.Size, fileSize(to.Path))
	for _, layer := range d.Layers {
		e.Layers = append(e.Layers, strings.TrimPrefix(layer, to.Path.String()+"/"))
	}
	return f.publish(name, e)
}

// fileSize is the size of an image that is one file, 0 for others.
func fileSize(path job.AbsPath) int64 {
	info, err := os.Stat(path.String())
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// publish gives a fetched image its final name, and writes its entry.
func (f fetching) publish(name string, e Entry) (Entry, error) {
	e.Name = f.key + "-" + f.suffix(e.Digest)
	place, err := f.place(e.Place.Form, e.Name)
	if err != nil {
		return e, err
	}
	e.Place.Path = place.Path
	if err := f.Dir.Move(name, f.Dir, e.Name); err != nil && !errors.Is(err, unix.EEXIST) {
		return e, err
	}
	text, err := json.Marshal(e)
	if err == nil {
		err = f.Dir.Write(f.key+entrySuffix, text)
	}
	return e, err
}

// suffix distinguishes the images that a name has had.
func (f fetching) suffix(digest string) string {
	if _, sum, found := strings.Cut(digest, ":"); found {
		return job.Cut(sum, 16)
	}
	return f.Job
}

// pull runs the engine's commands.
func (f fetching) pull(ctx context.Context, to container.Place, temp job.AbsPath) error {
	var files []*os.File
	request := container.Fetch{
		Session: f.session, Reference: f.request.Reference, Platform: f.request.Platform, To: to, Login: f.login, CA: f.CA,
	}
	if f.source != "" {
		auth, err := process.Memory("auth.json", f.login.AuthFile())
		if err != nil {
			return failure.Systemf("cannot prepare the login for the registry: %w", err)
		}
		defer auth.Close()
		files, request.AuthFD = append(files, auth), 3
	}
	for _, c := range f.Engine.Fetch(request) {
		// Engines store what they download in TMPDIR.
		c.Env = append(append(c.Env, "TMPDIR="+temp.String()), f.Env...)
		r := f.Run(ctx, container.Cell{}.Wrap(c), files)
		if r.Err != nil {
			return failure.Systemf("cannot fetch the image %s: %w", f.request.Reference, r.Err)
		}
		if result, line := container.Classify(r); result != container.Fetched {
			return f.explain(result, line)
		}
	}
	return nil
}

func (f fetching) describe(ctx context.Context, p container.Place) (container.Described, error) {
	r := f.Run(ctx, container.Cell{}.Wrap(f.Engine.Describe(f.session, p, f.request.Reference)), nil)
	if r.Err == nil && r.Code != 0 {
		_, line := container.Classify(r)
		r.Err = errors.New(line)
	}
	if r.Err != nil {
		return container.Described{}, failure.Systemf("cannot read the configuration of the image %s: %w", f.request.Name(), r.Err)
	}
	d, err := f.Engine.Parse(r)
	if errors.As(err, new(image.BadConfig)) {
		return d, failure.Buildf("cannot use the image %s: %w", f.request.Name(), err)
	}
	if err != nil {
		return d, failure.Systemf("cannot read the configuration of the image %s: %w", f.request.Name(), err)
	}
	return d, nil
}

// version is the end of a line: " with podman 5.4.2".
func (f fetching) version(ctx context.Context) string {
	v := container.Version(f.Run(ctx, container.Cell{}.Wrap(f.Engine.Version(f.session)), nil).Stdout)
	return strings.TrimRight(" with "+f.Engine.Name()+" "+v, " ")
}

// explain returns the failure of a fetch. line is the engine's reason.
func (f fetching) explain(result container.FetchResult, line string) error {
	if result == container.NoSpace {
		var full error = unix.ENOSPC
		if strings.Contains(strings.ToLower(line), "quota") {
			full = unix.EDQUOT
		}
		return diskspace.Explain("cannot store the image "+f.request.Reference.String(), f.fullPlace(line, full), full)
	}
	if result.Kind() == failure.Build {
		return failure.Buildf("cannot fetch the image %s: %s", f.request.Reference, line).WithHint("%s", f.advice(result))
	}
	return failure.Systemf("cannot fetch the image %s: %s", f.request.Reference, line).WithHint("%s", f.advice(result))
}

// fullPlace is where a fetch had no space: in the directory of a call, or among the images.
// Engines may name the file, and remove what they wrote. Quotas are usual among the images.
func (f fetching) fullPlace(line string, full error) string {
	temp, dir := f.Temp.String(), f.Dir.Path().String()
	switch {
	case strings.Contains(line, dir+"/"):
		return dir
	case strings.Contains(line, temp+"/"), diskspace.IsFull(temp):
		return temp
	case diskspace.IsFull(dir), errors.Is(full, unix.EDQUOT):
		return dir
	}
	return diskspace.LessLeft(dir, temp)
}

// advice is what to do about a result.
func (f fetching) advice(result container.FetchResult) string {
	switch result {
	case container.NotFound:
		return "correct the name of the image; a private registry may answer this to a login without the right to read it"
	case container.Denied:
		if f.source == "" {
			return "no login for this registry was found: set the CI variable DOCKER_AUTH_CONFIG"
		}
		return "the login is from " + f.source + ": it has to have the right to read this image"
	case container.Throttled:
		return "the registry limits the rate of requests: a login, or a mirror of the registry, has a higher limit"
	case container.Untrusted:
		return "administrators: container.registry_ca names the certificate authorities of registries"
	case container.BadReference:
		return "correct image: in .gitlab-ci.yml"
	case container.WrongMachine:
		return "use an image that was built for this machine's architecture too"
	case container.BadImage:
		return "the image is damaged, or of a form that " + f.Engine.Name() + " does not accept: use another one"
	case container.BadStorage:
		return "administrators: " + f.Engine.Name() + " needs images on a local disk: container.cache_dir"
	case container.NoCell:
		return "this resource cannot make user namespaces: administrators: jacamar-admin check"
	}
	return "retry the job; if it fails again, tell the administrators"
}

package jobrun

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/engines"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/imagestore"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/settings"
)

// sweepTime bounds the removal of what other jobs have left behind.
const sweepTime = 10 * time.Second

func (s stage) rules() safedir.Rules { return safedir.Rules{Owner: s.request.Account.UID} }

// siteOptions are the site's own options of the engine.
func (s stage) siteOptions(engine executor.Engine) ([]string, error) {
	return engines.Options(engine, "general."+engine.Name()+".custom_options", s.request.Settings.Container.Engine.CustomOptions)
}

// engineOptions are the site's options, those of modules and then the job's. An engine uses
// the last of two options, or both where it has a list.
func (s stage) engineOptions(engine executor.Engine) ([]string, error) {
	c, g := s.request.Settings.Container, engine.Grammar()
	site, err := s.siteOptions(engine)
	if err != nil {
		return nil, err
	}
	for _, m := range c.Modules {
		words, err := engines.Options(engine, "module "+string(m.Name), m.Options)
		if err != nil {
			return nil, err
		}
		site = append(site, words...)
	}
	var ofJob scheduler.Request
	for _, a := range c.Arguments {
		ofJob.User = append(ofJob.User, scheduler.UserText{Name: a.Variable, Text: string(a.Text)})
	}
	user, _, err := g.Resolve(ofJob)
	return append(site, scheduler.Words(user)...), err
}

// wantedImage is an image of the job with the policies to try, in order.
type wantedImage struct {
	image.Request
	policies []image.PullPolicy
	// ofSite reports that the site has chosen it, not the job.
	ofSite bool
}

// fetchImages returns the images in the order of the list.
func (s stage) fetchImages(engine executor.Engine, env []string, log joblog.Writer, list []wantedImage) ([]imagestore.Entry, error) {
	reaper, err := s.newReaper(true)
	if err != nil {
		return nil, err
	}
	store, err := s.openStore(engine, reaper, log)
	if err != nil {
		return nil, err
	}
	defer store.Dir.Close()
	store.Env = env
	if store.Logins, err = s.logins(log); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.stop.Terminate:
			cancel()
		case <-ctx.Done():
		}
	}()
	var entries []imagestore.Entry
	for _, one := range list {
		entry, err := s.imageOf(ctx, store, one)
		if err != nil && s.stop.Terminating() {
			err = failure.Buildf("the job was stopped while its image was fetched")
		} else if err != nil && one.ofSite {
			err = siteImageError(engine, err)
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func (s stage) imageOf(ctx context.Context, store imagestore.Store, wanted wantedImage) (imagestore.Entry, error) {
	if !wanted.Path.IsZero() {
		return store.Local(ctx, wanted.Path, s.request.Settings.Container.LocalImages)
	}
	return store.Get(ctx, wanted.Request, wanted.policies)
}

// openStore opens the account's images. The caller closes its directory.
func (s stage) openStore(engine executor.Engine, reaper *process.Reaper, log joblog.Writer) (imagestore.Store, error) {
	c := s.request.Settings.Container
	path, err := s.request.Dirs.Base.Join("images")
	if !c.CacheDir.IsZero() {
		path, err = c.CacheDir.Join(s.request.Account.Name.String())
	}
	if err != nil {
		return imagestore.Store{}, err
	}
	dir, err := withLimit(s, storageLimit, func() (*safedir.Dir, error) { return safedir.OpenBase(path, s.rules()) })
	return imagestore.Store{
		Dir: dir, Engine: engine, Program: engine.Program, Run: engine.Commander(reaper), Temp: c.TempDir, Log: log, Timeout: c.PullTimeout, CA: c.RegistryCA,
		Account: container.Account{UID: uint32(s.request.Account.UID), GID: uint32(s.request.Account.GID)},
		Job:     s.request.Job.Runner + "-" + s.request.Job.ID.String(),
	}, err
}

// binds are the job's own directories, at the paths that its scripts contain, and the
// site's.
func (s stage) binds() (all []container.Bind) {
	dirs := s.request.Dirs
	for _, dir := range []job.AbsPath{dirs.Builds, dirs.Cache, dirs.Scripts} {
		all = append(all, container.Bind{Source: dir.String(), Target: dir.String()})
	}
	return append(all, bindsOf(s.request.Settings.Container.Binds)...)
}

// logins are the sources of logins for registries, in the order of GitLab's docker
// executor. Without a matching one the engine uses the account's own files itself.
func (s stage) logins(log joblog.Writer) (all []image.LoginSource, err error) {
	c := s.request.Settings.Container
	if len(c.AuthConfig) > 0 {
		list, ignored, err := image.ParseAuths(string(c.AuthConfig))
		if err != nil {
			return nil, failure.Buildf("cannot use the CI variable DOCKER_AUTH_CONFIG: %w", err)
		}
		if len(ignored) > 0 {
			log.Warn("DOCKER_AUTH_CONFIG: %s is ignored, because it names programs to run", strings.Join(ignored, " and "))
		}
		all = append(all, image.LoginSource{Source: "DOCKER_AUTH_CONFIG", Credentials: list})
	}
	if text := s.ownAuths(); text != "" {
		if list, _, err := image.ParseAuths(text); err == nil { // else the engine reports it
			all = append(all, image.LoginSource{Source: "your ~/.docker/config.json", Credentials: list})
		}
	}
	var gitlab []image.Credential
	for _, r := range c.Registries {
		gitlab = append(gitlab, image.NewCredential(r.URL, r.User, job.NewSecret(string(r.Password))))
	}
	return append(all, image.LoginSource{Source: "GitLab", Credentials: gitlab}), nil
}

// ownAuths is the text of the account's own logins, "" where there are none.
func (s stage) ownAuths() string {
	text, _ := withLimit(s, quickLimit, func() (string, error) {
		file, err := os.OpenFile(filepath.Join(s.request.Account.Home.String(), ".docker", "config.json"), os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return "", err
		}
		defer file.Close()
		text := make([]byte, image.MaxAuths)
		n, _ := file.Read(text)
		return string(text[:n]), nil
	})
	return text
}

func (s stage) settled() (container.Settled, error) {
	name := container.SettledFile
	if executor.RunnersOwn(s.request) {
		name = container.RunnerFile
	}
	return withLimit(s, storageLimit, func() (container.Settled, error) {
		return imagestore.ReadSettled(s.request.Dirs.Scripts, s.rules(), name)
	})
}

// submit runs a script of the job's author in a batch system.
func (s stage) submit(reaper *process.Reaper) error {
	task := executor.NewBatch(s.request, reaper, s.stdout, s.noteBatch)
	if executor.InContainer(s.request) {
		settled, err := s.settled()
		if err != nil {
			return err
		}
		if task, err = executor.Containerize(task, s.request, settled); err != nil {
			return err
		}
	}
	return task.Run(s.script, s.stop)
}

// runInContainer runs a script on this host.
func (s stage) runInContainer(reaper *process.Reaper) error {
	settled, err := s.settled()
	if err != nil {
		return err
	}
	c, err := executor.NewContained(s.request, reaper, settled, s.stdout, s.stderr)
	if err != nil {
		return err
	}
	return c.Run(s.script, s.stop)
}

// pruneTime bounds the removal of an image that is not used.
const pruneTime = 30 * time.Second

// cleanUpContainers removes what killed stages of this job, or of others, have left behind,
// and at most one image that no job uses.
func (s stage) cleanUpContainers() {
	c := s.request.Settings.Container
	if c == nil || s.request.Dirs.Base.IsZero() {
		return
	}
	_ = imagestore.Sweep(c.TempDir, s.request.Account.UID, time.Now().Add(sweepTime))
	if engine, err := executor.FindEngine(s.request); err == nil {
		if store, err := s.openStore(engine, nil, joblog.Writer{}); err == nil {
			store.Release()
			_ = store.Prune(imageLimits(c.Container), time.Now().Add(pruneTime)) // a later cleanup continues
			store.Dir.Close()
		}
	}
}

func imageLimits(c settings.Container) imagestore.Limits {
	return imagestore.Limits{Unused: time.Duration(c.CacheDays) * 24 * time.Hour, Size: int64(c.CacheSize), Idle: time.Hour}
}

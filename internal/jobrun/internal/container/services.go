package container

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
)

// Services are what prepare has decided about the services of a job.
type Services struct {
	// Private reports that the job has a network namespace of its own.
	Private bool `json:"private"`
	// Debug copies what the services print into the job's log.
	Debug bool `json:"debug,omitempty"`
	// Wait is how long the script waits for the services, 0 for not at all.
	Wait time.Duration `json:"wait"`
	List []Service     `json:"list"`
}

// Service is one service of a job.
type Service struct {
	Label   string       `json:"label"` // in messages
	Aliases []string     `json:"aliases,omitempty"`
	Place   Place        `json:"place"`
	Config  image.Config `json:"config"`
	Argv    []string     `json:"argv"`
	IDs     image.IDs    `json:"ids"`
	Env     []string     `json:"env,omitempty"`
	Options []string     `json:"options,omitempty"`
	Binds   []Bind       `json:"binds,omitempty"`
	// Ports are those of which one shows that the service listens.
	Ports []uint16 `json:"ports,omitempty"`
}

// portVariable is GitLab's variable of a service for the port that shows that it listens.
const portVariable = "HEALTHCHECK_TCP_PORT"

// ServicePorts are the TCP ports on which a service listens: the one of portVariable, in
// which the job's env wins over that of the image, or else the exposed ones.
func ServicePorts(c image.Config, env []string) ([]uint16, error) {
	text, found := "", false
	for _, pair := range slices.Concat(c.Env, env) {
		if name, value, _ := strings.Cut(pair, "="); strings.EqualFold(name, portVariable) {
			text, found = value, true
		}
	}
	if !found {
		return c.Ports, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return nil, failure.Buildf("the variable %s of a service is not the number of a port", portVariable).
			WithHint("correct variables: of services: in .gitlab-ci.yml")
	}
	return []uint16{uint16(port)}, nil
}

// OwnVariables are variables of each call of an engine, and of the image.
func OwnVariables() []string {
	return []string{"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR"}
}

// ownPrefixes begin the names of other variables by which an engine or its programs work:
// it takes the values of a service's variables from its own environment.
var ownPrefixes = []string{"LD_", "_CONTAINERS_", "CONTAINER_", "CONTAINERS_", "STORAGE_"}

// ServiceEnv returns the variables that a service can have, and the names of the others.
func ServiceEnv(pairs []string) (env, refused []string) {
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains(OwnVariables(), name) || slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			refused = append(refused, name)
			continue
		}
		env = append(env, pair)
	}
	return env, refused
}

// CheckPorts rejects services that would listen on one port: they have one network.
func (s Services) CheckPorts() error {
	taken := map[uint16]string{}
	for _, one := range s.List {
		for _, port := range one.Ports {
			if first, found := taken[port]; found {
				return failure.Buildf("the services %s and %s listen on the port %d, and the services of a job share one network", first, one.Label, port).
					WithHint("make one of them listen on another port, and set its variable %s to that port in .gitlab-ci.yml", portVariable)
			}
			taken[port] = one.Label
		}
	}
	return nil
}

// Programs are those that services need in addition to those of the engine.
func (s *Services) Programs() []string {
	if s == nil {
		return nil
	}
	return append([]string{"bash"}, s.cell().Programs()...)
}

// cell is the cell of the job.
func (s *Services) cell() Cell { return Cell{cell.Cell{Network: s != nil && s.Private}} }

// ServicesFile is the name of the supervisor's program in the State of the script's start.
const ServicesFile = "services"

// hostsFile is what all containers of the job have: the aliases are in it.
const hostsFile = "/etc/hosts"

// Bind is what the script's container needs for the aliases.
func (s *Services) Bind() []Bind {
	if s == nil {
		return nil
	}
	return hostsBind()
}

func hostsBind() []Bind { return []Bind{{Source: hostsFile, Target: hostsFile}} }

// Wrap returns the command that runs the engine's command for the script in the job's
// cell: by the supervisor where the job has services.
func (s *Services) Wrap(script Command, state string) Command {
	if s != nil {
		script.Argv = append([]string{"bash", "-p", state + "/" + ServicesFile}, script.Argv...) // -p: without BASH_ENV
	}
	return s.cell().Wrap(script)
}

// Supervisor returns the supervisor's program for bash(1). Its values may be secrets, so
// they are in a file of State and not in argv, which other users can read.
func (s *Services) Supervisor(e Engine, script Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "S=%s\nwait=%d\ndebug=%t\nprivate=%t\n", job.ShellQuote(script.State.String()), int(s.Wait.Round(time.Second).Seconds()), s.Debug, s.Private)
	fmt.Fprintf(&b, "hosts=%s\n", job.ShellQuote(s.hosts()))
	b.WriteString(supervisor)
	var all []string
	for i, one := range s.List {
		n := strconv.Itoa(i)
		all = append(all, n)
		for name, value := range one.values(s.Wait) {
			fmt.Fprintf(&b, "%s[%s]=%s\n", name, n, job.ShellQuote(value))
		}
		fmt.Fprintf(&b, "run_%s() {\n%s}\n", n, one.run(e, script, n))
	}
	fmt.Fprintf(&b, "services=(%s)\n", strings.Join(all, " "))
	b.WriteString(supervise)
	return b.String()
}

// hosts are the lines of hosts(5) with the aliases.
func (s *Services) hosts() string {
	var b strings.Builder
	for _, one := range s.List {
		if len(one.Aliases) > 0 {
			fmt.Fprintf(&b, "127.0.0.1 %s\n", strings.Join(one.Aliases, " "))
		}
	}
	return b.String()
}

// values are those of the supervisor's variables about the service.
func (s Service) values(wait time.Duration) map[string]string {
	var ports []string
	for _, port := range s.Ports {
		ports = append(ports, strconv.Itoa(int(port)))
	}
	return map[string]string{
		"label": s.Label, "place": s.Place.Path.String(), "ports": strings.Join(ports, " "),
		"silent": fmt.Sprintf(silentService, s.Label, strings.Join(ports, " or "), wait),
		"ended":  strings.TrimSpace(fmt.Sprintf(endedService, s.Label, "")),
		"used":   strings.TrimSpace(fmt.Sprintf(usedPort, s.Label, "")),
	}
}

// run is the body of the function that becomes the engine's process of the service. Each
// call of an engine has its own /dev/shm, where podman(1) keeps locks.
func (s Service) run(e Engine, script Session, n string) string {
	session := script
	state, err := script.State.Join("s" + n)
	if err != nil {
		return "echo " + job.ShellQuote(err.Error()) + "; exit 1\n"
	}
	session.State, session.Linked = state, true
	workDir := s.Config.WorkingDir
	if workDir == "" {
		workDir = "/"
	}
	command := e.Run(Start{
		Session: session, Place: s.Place, Inner: s.Argv, Config: s.Config, Env: s.Env, IDs: s.IDs, WorkDir: workDir, Binds: append(hostsBind(), s.Binds...), Options: s.Options,
	})
	env := append([]string{"HOME=" + state.String(), "TMPDIR=" + state.String()}, command.Env...)
	return "export " + job.ShellQuote(env...) + "\nexec unshare --mount -- sh -c 'mount -t tmpfs tmpfs /dev/shm 2>/dev/null; exec \"$@\"' service " + job.ShellQuote(command.Argv...) + "\n"
}
